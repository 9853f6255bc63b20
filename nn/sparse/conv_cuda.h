#pragma once

namespace at {
class Tensor;
}
namespace c10 {
struct Device;
}

// The GPU's kernels of neighbour_map() and submanifold_conv(). The latter's are implicit matrix products, which gather
// rows straight into shared memory and skip what is absent. All tensors are contiguous and on one CUDA device, features
// and kernels of one type: fp32 (multiplied exactly, never as TF32), fp16 or bf16 (tensor cores); sums are fp32 in all
// three. Equal inputs give equal bits: partial sums are added in a fixed order that depends on the shapes alone. Work
// is put on the device's current stream. Throws c10::Error. The idea of sorting rows by their neighbours: FlexGEMM's
// masked implicit GEMM, as TRELLIS.2 uses it.
namespace espalier::nn {

// Whether x is on a CUDA device, of one of the three types, and this build has the kernels.
bool has_cuda_kernel(const at::Tensor& x);

// out[t] = bias + sum over v of kernel[v]^T feats[map[t, v]], over the neighbours there are.
//   feats [T, K], map [T, 27] int32, order [T] int32 from sorted_rows(), kernel [27, K, N], bias [N] or undefined
//   returns [T, N] in feats' type. Extra memory: up to 8 MiB of partial sums when T is small.
at::Tensor convolve_cuda(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& order,
                         const at::Tensor& kernel, const at::Tensor& bias);

// sum over t of grad[t] feats[map[t, v]]^T: grad [T, N], feats [T, K] -> [27, N, K] fp32.
// Extra memory: up to 16 MiB of partial sums.
at::Tensor weight_gradient_cuda(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map);

// Whether this build has kernels for the device.
bool has_cuda_kernels(const c10::Device& device);

// neighbour_map() of coords [T, 4] int32, contiguous, T < 2^31, as SparseTensor::create() accepts them: [T, 27] int32.
// Extra memory: a hash table of 24 to 48 bytes per row.
at::Tensor neighbour_map_cuda(const at::Tensor& coords);

}  // namespace espalier::nn
