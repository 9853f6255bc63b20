#include "nn/networks/voxel_channels.h"

#include <torch/types.h>

namespace espalier::nn {

at::Tensor dual_grid_channels(const at::Tensor& vertices, const at::Tensor& intersected) {
  const at::Tensor bytes = intersected.reshape({-1, 1});
  const at::Tensor bits = at::cat({bytes.bitwise_and(1), bytes.bitwise_and(2), bytes.bitwise_and(4)}, 1) > 0;
  return at::cat({vertices.to(at::kFloat) / 255 - 0.5, bits.to(at::kFloat) - 0.5}, 1);
}

at::Tensor attribute_channels(const at::Tensor& attributes) { return attributes.to(at::kFloat) / 255 * 2 - 1; }

DecodedDualGrid decoded_dual_grid(const at::Tensor& output, double voxel_margin) {
  TORCH_CHECK(output.dim() == 2 && output.size(1) == 7, "expected [M, 7], got ", output.sizes());
  return {output.narrow(1, 0, 3).sigmoid() * (1 + 2 * voxel_margin) - voxel_margin, output.narrow(1, 3, 3) > 0,
          at::softplus(output.narrow(1, 6, 1))};
}

at::Tensor decoded_attributes(const at::Tensor& output) { return output * 0.5 + 0.5; }

}  // namespace espalier::nn
