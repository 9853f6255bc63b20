#pragma once

#include <torch/types.h>

#include <array>
#include <cstring>
#include <vector>

#include "mesh/scene.h"

// Tensors to and from the plain arrays of mesh/ and ovoxel/.
namespace espalier::golden {

// [M, N] of any type, converted to T.
template <class T, size_t N>
std::vector<std::array<T, N>> rows(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.numel() % static_cast<int64_t>(N) == 0, "rows of ", N, " do not fit ", tensor.sizes());
  const auto plain = tensor.to(c10::CppTypeToScalarType<T>::value).contiguous();
  std::vector<std::array<T, N>> out(static_cast<size_t>(plain.numel()) / N);
  std::memcpy(out.data(), plain.data_ptr(), plain.nbytes());
  return out;
}

template <class T, size_t N>
at::Tensor to_tensor(const std::vector<std::array<T, N>>& values) {
  const auto count = static_cast<int64_t>(values.size());
  auto out = torch::empty({count, static_cast<int64_t>(N)}, c10::CppTypeToScalarType<T>::value);
  std::memcpy(out.data_ptr(), values.data(), out.nbytes());
  return out;
}

inline at::Tensor to_tensor(const std::vector<mesh::Triangle>& triangles) {
  auto out = torch::empty({static_cast<int64_t>(triangles.size()), 3}, torch::kInt32);
  std::memcpy(out.data_ptr(), triangles.data(), out.nbytes());
  return out;
}

inline at::Tensor to_tensor(const std::vector<uint8_t>& values) {
  auto out = torch::empty({static_cast<int64_t>(values.size())}, torch::kUInt8);
  std::memcpy(out.data_ptr(), values.data(), out.nbytes());
  return out;
}

// [F, 3] indices; negative ones become out of range.
inline std::vector<mesh::Triangle> triangles(const at::Tensor& faces) {
  std::vector<mesh::Triangle> out;
  for (const auto& f : rows<int32_t, 3>(faces)) {
    out.push_back({static_cast<uint32_t>(f[0]), static_cast<uint32_t>(f[1]), static_cast<uint32_t>(f[2])});
  }
  return out;
}

}  // namespace espalier::golden
