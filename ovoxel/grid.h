#pragma once

#include <array>
#include <cmath>
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
    return over({-0.5f, -0.5f, -0.5f}, {0.5f, 0.5f, 0.5f}, {resolution, resolution, resolution});
  }

  // `size` voxels over the box [lo, hi].
  static Grid over(const std::array<float, 3>& lo, const std::array<float, 3>& hi, const std::array<int32_t, 3>& size) {
    Grid grid{lo, {}, size};
    for (size_t a = 0; a < 3; ++a) grid.voxel_size[a] = (hi[a] - lo[a]) / static_cast<float>(size[a]);
    return grid;
  }

  // Voxels of side `h`, as many as fit the box [lo, hi] best.
  static Grid of_voxels(const std::array<float, 3>& lo, const std::array<float, 3>& hi, float h) {
    Grid grid{lo, {h, h, h}, {}};
    for (size_t a = 0; a < 3; ++a) grid.size[a] = static_cast<int32_t>(std::nearbyint((hi[a] - lo[a]) / h));
    return grid;
  }
};

}  // namespace espalier::ovoxel
