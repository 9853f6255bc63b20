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

// [H, W] or [H, W, C] bytes with the bottom row first, as the reference's dumps have it.
inline image::Image dumped_image(const at::Tensor& tensor) {
  const auto plain = tensor.flip(0).contiguous();
  image::Image out;
  out.height = static_cast<int>(plain.size(0));
  out.width = static_cast<int>(plain.size(1));
  out.channels = plain.dim() == 3 ? static_cast<int>(plain.size(2)) : 1;
  const auto* bytes = plain.data_ptr<uint8_t>();
  out.pixels.assign(bytes, bytes + plain.numel());
  return out;
}

// vertices [N, 3], which all count for the bounds, and after them one vertex per corner of faces [F, 3] with its uv of
// uvs [F, 3, 2], v upwards; undefined: none. Materials are left to the caller.
inline mesh::Mesh dumped_mesh(const at::Tensor& vertices, const at::Tensor& faces, const at::Tensor& uvs) {
  mesh::Mesh out;
  out.positions = rows<float, 3>(vertices);
  const size_t own = out.positions.size();
  for (const mesh::Triangle& t : triangles(faces)) {
    const auto first = static_cast<uint32_t>(out.positions.size());
    for (const uint32_t corner : t) out.positions.push_back(mesh::Vec3(out.positions.at(corner)));
    out.triangles.push_back({first, first + 1, first + 2});
  }
  if (!uvs.defined()) return out;
  out.uvs.resize(own);
  for (const auto& uv : rows<float, 2>(uvs)) out.uvs.push_back({uv[0], 1 - uv[1]});
  return out;
}

}  // namespace espalier::golden
