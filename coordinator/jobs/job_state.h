#pragma once

#include "espalier/v1/jobs.pb.h"

// The allowed moves of jobs and of their stages (tasks), as one table each. A state that is not final can stay where it
// is; nothing leaves a final state.
namespace espalier::coordinator {

bool is_final(v1::JobState state);
bool is_final(v1::StageState state);
bool can_move(v1::JobState from, v1::JobState to);
bool can_move(v1::StageState from, v1::StageState to);

}  // namespace espalier::coordinator
