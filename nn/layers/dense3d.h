#pragma once

#include <ATen/core/Tensor.h>

namespace espalier::nn {

// Layer norm over the channels of each voxel: x [B, C, X, Y, Z], affine in fp32, eps 1e-5, returned in x's type.
// Reference: TRELLIS.2 trellis2/modules/norm.py, ChannelLayerNorm32.
at::Tensor channel_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// [B, 8C, X, Y, Z] -> [B, C, 2X, 2Y, 2Z]; input channel c*8 + 4*dx + 2*dy + dz goes to sub-cell (dx, dy, dz).
// The result is stored channels last. Reference: TRELLIS.2 trellis2/modules/spatial.py, pixel_shuffle_3d.
at::Tensor pixel_shuffle_3d(const at::Tensor& x);

}  // namespace espalier::nn
