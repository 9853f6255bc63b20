#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "train/collective.h"

// What ranks tell each other besides gradients. Every call is collective; `device` is where the backend wants tensors.
namespace espalier::train {

// Rank 0's text, on every rank.
std::string broadcast_text(std::string text, Collective& collective, c10::Device device);

// How many ranks say yes; every rank learns it.
int64_t ranks_where(bool condition, Collective& collective, c10::Device device);

// How many ranks have another bit in `values` (dense, on the device), or other `settings`, than rank 0.
int64_t ranks_that_differ(const at::Tensor& values, const std::string& settings, Collective& collective);

}  // namespace espalier::train
