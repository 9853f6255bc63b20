#include "ovoxel/scan.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::ovoxel::internal {
namespace {

constexpr int32_t kSlabThickness = 16;  // voxels; a slab's data should fit a core's own cache

}  // namespace

SlabTable::SlabTable(const Grid& grid)
    : rows_((static_cast<size_t>(grid.size[1]) + 3) / 4), columns_((static_cast<size_t>(grid.size[2]) + 3) / 4) {}

// Keeps the memory of the slab before.
void SlabTable::start(const Slab& slab) {
  slab_ = slab;
  size_ = 0;
  bricks_.assign((static_cast<size_t>(slab.end - slab.begin) + 3) / 4 * rows_ * columns_, kNone);
  cells_.clear();
}

Status check_input(std::span<const mesh::Vec3> positions, std::span<const mesh::Triangle> triangles, const Grid& grid) {
  for (int a = 0; a < 3; ++a) {
    if (grid.size[a] < 1 || grid.size[a] > kMaxGridSize) {
      return absl::InvalidArgumentError(absl::StrCat("grid size ", grid.size[a], " is not in 1..", kMaxGridSize));
    }
    if (!(grid.voxel_size[a] > 0) || !std::isfinite(grid.voxel_size[a]) || !std::isfinite(grid.lo[a])) {
      return absl::InvalidArgumentError("voxel size must be positive and finite");
    }
  }
  for (const mesh::Vec3& p : positions) {
    if (!std::isfinite(p[0]) || !std::isfinite(p[1]) || !std::isfinite(p[2])) {
      return absl::InvalidArgumentError("a vertex is not finite");
    }
  }
  for (const mesh::Triangle& t : triangles) {
    if (std::max({t[0], t[1], t[2]}) >= positions.size()) {
      return absl::InvalidArgumentError("a triangle index is out of range");
    }
  }
  return absl::OkStatus();
}

std::vector<mesh::Vec3> relative_positions(std::span<const mesh::Vec3> positions, const Grid& grid) {
  std::vector<mesh::Vec3> out(positions.begin(), positions.end());
  for (mesh::Vec3& p : out) {
    for (int a = 0; a < 3; ++a) p[a] -= grid.lo[a];
  }
  return out;
}

// Slabs are cut across x alone, and triangles sorted into all slabs that they might touch. The scan leaves out what is
// outside its slab, so a triangle too many costs time, and one too few a voxel.
Partition partition(std::span<const mesh::Vec3> relative, std::span<const mesh::Triangle> triangles, const Grid& grid) {
  Partition out;
  for (int32_t begin = 0; begin < grid.size[0]; begin += kSlabThickness) {
    out.slabs.push_back({begin, std::min(begin + kSlabThickness, grid.size[0])});
  }
  out.triangles.resize(out.slabs.size());
  for (size_t t = 0; t < triangles.size(); ++t) {
    const float x0 = relative[triangles[t][0]][0], x1 = relative[triangles[t][1]][0], x2 = relative[triangles[t][2]][0];
    const double h = grid.voxel_size[0];
    // Two cells of slack on both sides cover truncation, rounding and the neighbours a hit adds.
    const int32_t first = std::max(cell(std::min({x0, x1, x2}), h, grid.size[0]) - 2, 0) / kSlabThickness;
    const int32_t last = std::min(cell(std::max({x0, x1, x2}), h, grid.size[0]) + 2, grid.size[0] - 1) / kSlabThickness;
    for (int32_t s = first; s <= last; ++s) out.triangles[static_cast<size_t>(s)].push_back(static_cast<uint32_t>(t));
  }
  return out;
}

}  // namespace espalier::ovoxel::internal
