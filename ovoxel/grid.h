#pragma once

#include <array>
#include <cstdint>

namespace espalier::ovoxel {

using Voxel = std::array<int32_t, 3>;  // x, y, z

// A regular grid of voxels over an axis-aligned box. Voxel (x, y, z) covers lo + [x, x+1) * voxel_size.
struct Grid {
  std::array<float, 3> lo{-0.5f, -0.5f, -0.5f};
  std::array<float, 3> voxel_size{1, 1, 1};
  std::array<int32_t, 3> size{1, 1, 1};  // voxels per axis, 1 .. 2048

  // `resolution` voxels per side over [-0.5, 0.5]^3.
  static Grid cube(int32_t resolution) {
    const float h = 1.0f / static_cast<float>(resolution);
    return {{-0.5f, -0.5f, -0.5f}, {h, h, h}, {resolution, resolution, resolution}};
  }
};

}  // namespace espalier::ovoxel
