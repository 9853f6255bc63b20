#pragma once

#include <cstdint>

#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::train {

// The loss of a dense flow at the fixed times 0.1, 0.2, … 0.9 with fixed noise, never dropping the condition: equal
// between runs and comparable before and after training.
// `samples`: item = what `task` understands; slot = which fixed noise. At most `batch` samples per forward pass.
// Collective: the ranks share the times out, and all get the same report; `device` is where `task` computes.
ValidationReport fixed_noise_loss(const FlowTask& task, std::span<const SampleRef> samples, int64_t batch,
                                  Collective& collective, c10::Device device);

}  // namespace espalier::train
