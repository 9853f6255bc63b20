#include "nn/layers/dense3d.h"

#include <torch/types.h>

#include "nn/layers/norm.h"

namespace espalier::nn {

at::Tensor channel_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor last = x.permute({0, 2, 3, 4, 1});  // a contiguous view when x is stored channels last
  return layer_norm(last, weight, bias, kHeadNormEps).permute({0, 4, 1, 2, 3});
}

at::Tensor pixel_shuffle_3d(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 5 && x.size(1) % 8 == 0, "expected [B, 8C, X, Y, Z], got ", x.sizes());
  const int64_t b = x.size(0), c = x.size(1) / 8, nx = x.size(2), ny = x.size(3), nz = x.size(4);
  const at::Tensor cells = x.reshape({b, c, 2, 2, 2, nx, ny, nz}).permute({0, 5, 2, 6, 3, 7, 4, 1});
  return cells.reshape({b, 2 * nx, 2 * ny, 2 * nz, c}).permute({0, 4, 1, 2, 3});
}

}  // namespace espalier::nn
