#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/layers/linear.h"

namespace espalier::nn {

// x W^T + bias + sum over branches of scale * (x A^T) B^T, with A and B cast to x's type.
//   x [..., in], weight [out, in], bias [out] or undefined, returns [..., out].
at::Tensor lora_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const std::vector<LoraBranch>& branches);

}  // namespace espalier::nn
