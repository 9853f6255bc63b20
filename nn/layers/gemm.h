#pragma once

namespace at {
class Tensor;
}

namespace espalier::nn {

// a b^T + bias without a graph: the product inside our own autograd functions and of inference.
//
//   a [m, k], b [n, k], bias [n] or undefined, all of one type; transposed views are as good as dense tensors.
//   returns [m, n]. The operands must not need gradients now (or gradients must be off): TORCH_CHECK.
//
// float32 on the CPU goes to oneDNN, whose kernels use the widest vectors of any x86-64 processor; the BLAS that
// LibTorch calls by itself stays at half their speed on AMD's. Everything else goes to at::addmm.
at::Tensor gemm_nt(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias);
at::Tensor gemm_nt(const at::Tensor& a, const at::Tensor& b);

}  // namespace espalier::nn
