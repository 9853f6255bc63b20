#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

// The CPU's submanifold convolution: for each of the 27 offsets, one matrix product over the rows that have that
// neighbour, block of rows by block of rows, so that what is gathered and added up stays in the caches. Rows on a
// surface have 10 to 17 of the 27 neighbours; absent ones cost nothing. The result does not depend on the thread count.
namespace espalier::nn {

inline constexpr int64_t kKernelOffsets = 27;

// out[t] = bias + sum over v of kernel[v]^T feats[map[t, v]], over the neighbours there are.
//   feats [T, K], map [T, 27] int32, kernel [27, K, N], bias [N] or undefined; returns [T, N]. All fp32, contiguous.
// Extra memory: the packed kernel, and per thread 1024 gathered rows.
at::Tensor convolve_pairs(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                          const at::Tensor& bias);

// sum over t of grad[t] feats[map[t, v]]^T: grad [T, N], feats [T, K] -> [27, N, K]. All fp32, contiguous.
at::Tensor pair_outer_products(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map);

}  // namespace espalier::nn
