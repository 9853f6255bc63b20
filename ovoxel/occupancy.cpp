#include "ovoxel/occupancy.h"

#include "absl/strings/str_cat.h"

namespace espalier::ovoxel {

Result<std::vector<uint8_t>> occupancy(std::span<const Voxel> voxels, int32_t resolution, int32_t side) {
  if (side < 1 || side > 1024 || resolution < side || resolution % side != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("resolution ", resolution, " is not a multiple of ", side, " cells per side"));
  }
  const int32_t block = resolution / side;
  const auto n = static_cast<size_t>(side);
  std::vector<uint8_t> volume(n * n * n, 0);
  for (const Voxel& v : voxels) {
    for (const int32_t x : v) {
      if (x < 0 || x >= resolution) {
        return absl::InvalidArgumentError(
            absl::StrCat("voxel (", v[0], ", ", v[1], ", ", v[2], ") is outside a grid of ", resolution, " per side"));
      }
    }
    const auto x = static_cast<size_t>(v[0] / block), y = static_cast<size_t>(v[1] / block);
    volume[(x * n + y) * n + static_cast<size_t>(v[2] / block)] = 1;
  }
  return volume;
}

std::vector<Voxel> occupied_cells(std::span<const uint8_t> volume, int32_t side) {
  std::vector<Voxel> out;
  size_t index = 0;
  for (int32_t x = 0; x < side; ++x) {
    for (int32_t y = 0; y < side; ++y) {
      for (int32_t z = 0; z < side && index < volume.size(); ++z, ++index) {
        if (volume[index] != 0) out.push_back({x, y, z});
      }
    }
  }
  return out;
}

}  // namespace espalier::ovoxel
