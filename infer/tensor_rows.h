#pragma once

#include <torch/types.h>

#include <array>
#include <cstring>
#include <vector>

// Tensors of any device as plain vectors.
namespace espalier::infer {

// The rows of a tensor [M, N] of type T.
template <class T, size_t N>
std::vector<std::array<T, N>> rows_of(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.dim() == 2 && tensor.size(1) == static_cast<int64_t>(N), "expected [M, ", N, "], got ",
              tensor.sizes());
  const at::Tensor host = tensor.to(torch::kCPU).contiguous();
  std::vector<std::array<T, N>> rows(static_cast<size_t>(host.size(0)));
  if (!rows.empty()) std::memcpy(rows.data(), host.const_data_ptr<T>(), host.nbytes());
  return rows;
}

// The elements of a tensor of type T.
template <class T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(torch::kCPU).contiguous();
  const T* data = host.const_data_ptr<T>();
  return {data, data + host.numel()};
}

}  // namespace espalier::infer
