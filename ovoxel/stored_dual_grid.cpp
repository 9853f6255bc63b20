#include "ovoxel/stored_dual_grid.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::ovoxel {
namespace {

constexpr float kOutside = 1e-3f;  // voxels

Result<const VoxelAttribute*> attribute_of(const VoxelTable& table, const char* name, size_t channels) {
  const VoxelAttribute* found = table.attribute(name);
  if (found == nullptr) return absl::InvalidArgumentError(absl::StrCat("the attribute \"", name, "\" is missing"));
  if (found->channels != channels || found->values.size() != channels * table.voxels.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the attribute \"", name, "\" must have ", channels, " channels"));
  }
  return found;
}

}  // namespace

Result<VoxelTable> pack_dual_grid(const DualGrid& grid, int32_t resolution) {
  VoxelTable out{grid.voxels, {{"vertices", 3, {}}, {"intersected", 1, grid.intersected}}};
  auto& bytes = out.attributes[0].values;
  bytes.reserve(grid.voxels.size() * 3);
  for (size_t i = 0; i < grid.voxels.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      const float local =
          grid.dual_vertices[i][a] * static_cast<float>(resolution) - static_cast<float>(grid.voxels[i][a]);
      if (!(local >= -kOutside && local <= 1 + kOutside)) {
        return absl::InternalError(absl::StrCat("the dual vertex of voxel ", i, " is outside its voxel"));
      }
    }
    for (const uint8_t byte : packed_vertex(grid.dual_vertices[i], grid.voxels[i], resolution)) bytes.push_back(byte);
  }
  return out;
}

Result<StoredDualGrid> unpack_dual_grid(VoxelTable table) {
  ESP_ASSIGN(const VoxelAttribute* vertices, attribute_of(table, "vertices", 3));
  ESP_ASSIGN(const VoxelAttribute* flags, attribute_of(table, "intersected", 1));
  StoredDualGrid out;
  out.intersected = flags->values;
  for (const uint8_t bits : out.intersected) {
    if (bits > 7) return absl::InvalidArgumentError("the attribute \"intersected\" has a value above 7");
  }
  out.vertices.resize(table.voxels.size());
  for (size_t i = 0; i < out.vertices.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) out.vertices[i][a] = static_cast<float>(vertices->values[i * 3 + a]) / 255.0f;
  }
  out.voxels = std::move(table.voxels);
  return out;
}

}  // namespace espalier::ovoxel
