#include "bake/volume_sampler.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::bake {
namespace {

Status check(const AttributeVolume& volume) {
  if (volume.resolution < 1 || volume.resolution > ovoxel::VoxelIndex::kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("volume: resolution ", volume.resolution, " must be 1..", ovoxel::VoxelIndex::kMaxSide));
  }
  if (volume.voxels.empty() || volume.voxels.size() != volume.values.size() || volume.voxels.size() > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("volume: ", volume.voxels.size(), " voxels and ",
                                                   volume.values.size(), " values; as many of each are needed"));
  }
  for (size_t i = 0; i < volume.voxels.size(); ++i) {
    for (const int32_t x : volume.voxels[i]) {
      if (x < 0 || x >= volume.resolution) {
        return absl::InvalidArgumentError(absl::StrCat("volume: voxel ", i, " is outside the grid"));
      }
    }
    for (const float x : volume.values[i]) {
      if (!std::isfinite(x)) return absl::InvalidArgumentError(absl::StrCat("volume: value ", i, " is not finite"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Result<VolumeSampler> VolumeSampler::over(const AttributeVolume& volume) {
  ESP_TRY(check(volume));
  VolumeSampler out(volume);
  if (!out.index_.unique()) return absl::InvalidArgumentError("volume: a voxel is listed twice");
  return out;
}

std::optional<Attributes> VolumeSampler::sample(const mesh::Vec3& point) const {
  ovoxel::Voxel base;
  std::array<std::array<float, 2>, 3> weights;  // by axis: of the lower and the upper neighbour
  const auto side = static_cast<float>(volume_.resolution);
  for (size_t a = 0; a < 3; ++a) {
    const float place = std::clamp((point[a] + 0.5f) * side - 0.5f, -2.0f, side + 2);
    const float low = std::floor(place);
    base[a] = static_cast<int32_t>(low);
    weights[a] = {1 - (place - low), place - low};
  }
  Attributes sum{};
  float total = 0;
  for (int corner = 0; corner < 8; ++corner) {
    const int dx = corner >> 2, dy = corner >> 1 & 1, dz = corner & 1;
    const float weight =
        weights[0][static_cast<size_t>(dx)] * weights[1][static_cast<size_t>(dy)] * weights[2][static_cast<size_t>(dz)];
    if (weight <= 0) continue;
    const uint32_t found = index_.find({base[0] + dx, base[1] + dy, base[2] + dz});
    if (found == ovoxel::VoxelIndex::kNone) continue;
    for (size_t c = 0; c < sum.size(); ++c) sum[c] += weight * volume_.values[found][c];
    total += weight;
  }
  if (!(total > 0)) return std::nullopt;
  for (float& x : sum) x /= total;
  return sum;
}

}  // namespace espalier::bake
