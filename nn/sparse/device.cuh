#pragma once

// All that the kernels take from CUDA. A compiler without CUDA must have been given the same names before, which is how
// the tests run the kernels on a CPU (tests/nn/emulated/).
#ifdef __CUDACC__

#include <c10/core/DeviceType.h>
#include <c10/cuda/CUDAException.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

#include <type_traits>

namespace espalier::nn {

namespace wmma = nvcuda::wmma;
using Half = __half;
using BFloat16 = __nv_bfloat16;

inline constexpr c10::DeviceType kDevice = c10::DeviceType::CUDA;

// 16 bytes in one access; the address must be a multiple of 16.
__device__ inline uint4 load_16_bytes(const void* from) { return __ldg(static_cast<const uint4*>(from)); }
__device__ inline void store_16_bytes(void* to, uint4 bytes) { *static_cast<uint4*>(to) = bytes; }

template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 blocks, int threads, void* stream,
            std::type_identity_t<Parameters>... arguments) {
  kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(arguments...);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace espalier::nn

#endif  // __CUDACC__
