#pragma once

#include <cstdint>
#include <string>

#include "common/status.h"
#include "nn/networks/flow_config.h"

namespace espalier::train {

// INVALID_ARGUMENT: not `auto`, `all`, `none` or a number of blocks from 1 to 1000.
Status check_gradient_checkpointing(const std::string& setting);

// How many of the denoiser's first blocks are computed again in the backward pass instead of being kept. `auto`: all,
// when the activations of a loss call of `tokens` tokens would take more than 16 GiB, else none. It changes memory and
// time, no number.
int64_t recomputed_blocks(const std::string& setting, const nn::FlowConfig& denoiser, int64_t tokens);

}  // namespace espalier::train
