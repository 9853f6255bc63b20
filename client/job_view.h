#pragma once

#include <string>

#include "common/status.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::client {

// "queued", "partially succeeded", …
std::string state_text(v1::JobState state);
std::string state_text(v1::StageState state);
std::string priority_text(v1::Priority priority);  // "low", "normal", "high"
std::string denoiser_text(v1::Denoiser denoiser);  // "sparse_structure"; "preparation" for UNSPECIFIED
bool is_terminal(v1::JobState state);

// "evaluating base 3/12"
std::string progress_text(const v1::EvaluationProgress& progress);
// "adapters  IoU 0.713  F1 0.958  …"
std::string scores_text(const v1::EvaluationScores& scores);

// "2026-01-31 12:00:00"
std::string local_time(const google::protobuf::Timestamp& time);
// "$4.38"
std::string money(int64_t nanos);

// Several lines for a person.
std::string describe(const v1::Job& job);

// OK for a job that succeeded; else what went wrong, with the exit code of watch and submit --watch.
Status outcome(const v1::Job& job);

// sparse_structure,geometry -> the enum values. INVALID_ARGUMENT names the unknown one and the allowed ones.
Status parse_denoisers(const std::vector<std::string>& names, v1::TrainingSpec& spec);

}  // namespace espalier::client
