#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace espalier::nn {

// softmax(q k^T / sqrt(d)) v without a mask; softmax and accumulation in fp32.
//   q [B, N, H, d], k and v [B, L, H, d], returns [B, N, H*d].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// The same within each sample of concatenated rows: q [T, H, d], k and v [S, H, d], returns [T, H*d].
// Rows of sample b are q_offsets[b] .. q_offsets[b+1] of q and k_offsets[b] .. k_offsets[b+1] of k and v.
at::Tensor attend_ragged(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::vector<int64_t>& q_offsets, const std::vector<int64_t>& k_offsets);

}  // namespace espalier::nn
