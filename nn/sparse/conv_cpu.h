#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

// The CPU's kernels of submanifold_conv(): block of rows by block of rows, so that what is gathered and added up stays
// in the caches. Results do not depend on the thread count. All tensors are fp32 and contiguous, maps int32.
namespace espalier::nn {

inline constexpr int64_t kKernelOffsets = 27;

// out[t] = bias + sum over v of kernel[v]^T feats[map[t, v]], over the neighbours there are.
//   feats [T, K], map [T, 27], kernel [27, K, N], bias [N] or undefined; returns [T, N].
// Rows on a surface have 10 to 17 of the 27 neighbours. Absent ones cost nothing where the products are what takes the
// time; with few channels all 27 are laid out side by side instead, as zeros where absent.
// Extra memory: the kernel once more, and some rows per thread.
at::Tensor convolve_cpu(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                        const at::Tensor& bias);

// sum over t of grad[t] feats[map[t, v]]^T: grad [T, N], feats [T, K] -> [27, N, K].
at::Tensor weight_gradient_cpu(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map);

}  // namespace espalier::nn
