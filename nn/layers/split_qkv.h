#pragma once

#include <ATen/core/Tensor.h>

#include <array>

namespace espalier::nn {

// Queries, keys and values of a fused projection, queries and keys normalised per head and rotated: the same numbers as
// head_rms_norm and apply_rope, in one pass forward and one backward instead of two dozen.
//
//   qkv      [..., 3, H, d] float32 on the CPU, contiguous
//   q_gamma, k_gamma  [H, d] float32, frozen: they get no gradient
//   phases   complex64 [N, 1, 1, d/2]; row i of qkv has position i mod N
//   returns  q, k, v, each [..., H, d]
std::array<at::Tensor, 3> split_qkv(const at::Tensor& qkv, const at::Tensor& q_gamma, const at::Tensor& k_gamma,
                                    const at::Tensor& phases);

// Whether the arguments are what split_qkv takes and a gradient is wanted: where none is, the plain operators run.
bool split_qkv_applies(const at::Tensor& qkv, const at::Tensor& q_gamma, const at::Tensor& k_gamma,
                       const at::Tensor& phases);

}  // namespace espalier::nn
