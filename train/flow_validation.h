#pragma once

#include <cstdint>

#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::train {

// The flow loss at the fixed times 0.1, 0.2, … 0.9 with fixed noise, never dropping the condition: equal between runs
// and comparable before and after training. The mean is over all rows of all samples, however they are cut into calls.
// `calls`: the samples of each forward pass; item = what `task` understands; slot = which fixed noise.
// Collective: the ranks share the times out, and all get the same report; `device` is where `task` computes.
ValidationReport fixed_noise_loss(const FlowTask& task, std::span<const std::vector<SampleRef>> calls,
                                  Collective& collective, c10::Device device);

}  // namespace espalier::train
