#include "nn/layers/linear.h"

#include <torch/types.h>

#include "nn/lora/lora_linear.h"

namespace espalier::nn {

at::Tensor Linear::forward(const at::Tensor& x) const {
  if (branches.empty()) return at::linear(x, weight, bias);
  return lora_linear(x, weight, bias, branches);
}

}  // namespace espalier::nn
