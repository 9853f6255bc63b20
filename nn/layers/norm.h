#pragma once

#include <ATen/core/Tensor.h>

namespace espalier::nn {

// The networks use three different epsilons; none is a default here.
inline constexpr double kBlockNormEps = 1e-6;  // norms inside DiT and sparse VAE blocks
inline constexpr double kHeadNormEps = 1e-5;   // affine-free norms before output heads, all norms of the dense VAE

// Normalises the last axis in fp32 and returns x's type. `weight` and `bias` [C] fp32, both undefined for no affine.
// Reference: TRELLIS.2 trellis2/modules/norm.py, LayerNorm32.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

// x / max(|x|, 1e-12) * sqrt(d) * gamma over the last axis d, in fp32, returned in x's type.
//   x [..., H, d], gamma [H, d] fp32 (or any shape that broadcasts against x).
// Reference: TRELLIS.2 trellis2/modules/attention/modules.py, MultiHeadRMSNorm.
at::Tensor head_rms_norm(const at::Tensor& x, const at::Tensor& gamma);

}  // namespace espalier::nn
