#pragma once

#include <cstdint>

#include "common/status.h"
#include "infer/engine.h"
#include "infer/networks.h"
#include "infer/plan.h"
#include "infer/stage.h"

namespace espalier::infer {

// Runs a checked request from its condition images to its files. One at a time on the same networks.
// `token_limit`: see EngineOptions::max_shape_tokens. Errors as Engine::generate; c10::Error and std::bad_alloc pass.
Result<GeneratedAssets> run_plan(const GenerateRequest& request, Plan plan, Networks& networks, uint64_t seed,
                                 int64_t token_limit, StageHooks hooks);

}  // namespace espalier::infer
