#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "train/loop.h"

namespace espalier::train {

// All trained parameters in one flat buffer and all their gradients in another, so that clipping, the optimizer, the
// average and the exchange between ranks are single operations. The parameters' own tensors become views of it.
class FlatParameters {
 public:
  // TORCH_CHECK: float32 leaves of one device, unique names, at least one.
  explicit FlatParameters(std::vector<Parameter> parameters);

  at::Tensor& values() { return values_; }      // [P]
  at::Tensor& gradient() { return gradient_; }  // [P], a view of exchange()
  // [P + 1]: the gradient, then the loss, so that one sum over the ranks carries both.
  at::Tensor& exchange() { return exchange_; }
  void zero_gradient();
  // A backward pass must have accumulated into the buffer, not replaced a gradient (TORCH_CHECK).
  void check_gradients_in_place() const;

  struct Slice {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset = 0, size = 0;
  };
  const std::vector<Slice>& slices() const { return slices_; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<Slice> slices_;
  at::Tensor values_, exchange_, gradient_;
};

}  // namespace espalier::train
