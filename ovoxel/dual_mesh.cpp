#include "ovoxel/dual_mesh.h"

#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "ovoxel/edge_cells.h"
#include "ovoxel/voxel_index.h"

namespace espalier::ovoxel {
namespace {

using mesh::Triangle;
using mesh::Vec3;
using Quad = std::array<uint32_t, 4>;

constexpr size_t kVoxelsPerTask = size_t{1} << 16;

Status check_grid(const Grid& grid) {
  for (size_t a = 0; a < 3; ++a) {
    if (grid.size[a] < 1 || grid.size[a] > VoxelIndex::kMaxSide) {
      return absl::InvalidArgumentError(absl::StrCat("grid size ", grid.size[a], " is not in 1..2048"));
    }
  }
  return absl::OkStatus();
}

Status check(const DualGridView& dual, const Grid& grid) {
  ESP_TRY(check_grid(grid));
  const size_t count = dual.voxels.size();
  const bool weighted = !dual.split_weights.empty();
  if (dual.vertices.size() != count || dual.intersected.size() != count ||
      (weighted && dual.split_weights.size() != count)) {
    return absl::InvalidArgumentError(absl::StrCat("vertices, flags and weights do not match ", count, " voxels"));
  }
  for (size_t i = 0; i < count; ++i) {
    for (size_t a = 0; a < 3; ++a) {
      if (dual.voxels[i][a] < 0 || dual.voxels[i][a] >= grid.size[a]) {
        return absl::InvalidArgumentError(absl::StrCat("voxel ", i, " is outside the grid"));
      }
      if (!std::isfinite(dual.vertices[i][a])) {
        return absl::InvalidArgumentError(absl::StrCat("the vertex of voxel ", i, " is not finite"));
      }
    }
    if (weighted && !std::isfinite(dual.split_weights[i])) {
      return absl::InvalidArgumentError(absl::StrCat("the split weight of voxel ", i, " is not finite"));
    }
  }
  return absl::OkStatus();
}

std::vector<Vec3> world_vertices(const DualGridView& dual, const Grid& grid) {
  std::vector<Vec3> out(dual.voxels.size());
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      out[i][a] = (static_cast<float>(dual.voxels[i][a]) + dual.vertices[i][a]) * grid.voxel_size[a] + grid.lo[a];
    }
  }
  return out;
}

void add_quads(const DualGridView& dual, const VoxelIndex& index, size_t i, std::vector<Quad>& out) {
  for (size_t axis = 0; axis < 3; ++axis) {
    if ((dual.intersected[i] >> axis & 1) == 0) continue;
    Quad quad{static_cast<uint32_t>(i)};
    bool whole = true;
    for (size_t k = 1; k < 4 && whole; ++k) {
      const Voxel& offset = internal::kAroundEdge[axis][k];
      const Voxel& v = dual.voxels[i];
      quad[k] = index.find({v[0] + offset[0], v[1] + offset[1], v[2] + offset[2]});
      whole = quad[k] != VoxelIndex::kNone;
    }
    if (whole) out.push_back(quad);
  }
}

// Per task, in order.
std::vector<std::vector<Quad>> quads_of(const DualGridView& dual, const VoxelIndex& index, int threads) {
  const size_t count = dual.voxels.size(), tasks = (count + kVoxelsPerTask - 1) / kVoxelsPerTask;
  std::vector<std::vector<Quad>> out(tasks);
  parallel_for(tasks, worker_count(threads, tasks), [&](size_t task, int) {
    const size_t begin = task * kVoxelsPerTask, end = std::min(begin + kVoxelsPerTask, count);
    for (size_t i = begin; i < end; ++i) add_quads(dual, index, i, out[task]);
  });
  return out;
}

// (b - a) x (d - c) as PyTorch rounds it on a CPU: the first product of each component is fused into the difference.
Vec3 fused_cross(const Vec3& a, const Vec3& b, const Vec3& c, const Vec3& d) {
  Vec3 out{};
  for (size_t i = 0; i < 3; ++i) {
    const size_t j = (i + 1) % 3, k = (i + 2) % 3;
    out[i] = std::fma(b[j] - a[j], d[k] - c[k], -((b[k] - a[k]) * (d[j] - c[j])));
  }
  return out;
}

// How well two triangles align, as the reference measures it. It means (0, 1, 2) and (2, 1, 3) but takes the columns
// of its table of triangles one by one, so the second has `d` where a corner of its own should be.
float alignment(const Vec3& a, const Vec3& b, const Vec3& c, const Vec3& d) {
  const Vec3 first = fused_cross(a, b, a, c), second = fused_cross(b, c, b, d);
  return std::abs(first[0] * second[0] + first[1] * second[1] + first[2] * second[2]);
}

bool cut_along_02(const DualGridView& dual, const std::vector<Vec3>& positions, const Quad& q) {
  const auto& w = dual.split_weights;
  if (!w.empty()) return w[q[0]] * w[q[2]] > w[q[1]] * w[q[3]];
  const auto at = [&](size_t corner) -> const Vec3& { return positions[q[corner]]; };
  return alignment(at(0), at(1), at(2), at(0)) > alignment(at(0), at(1), at(3), at(3));
}

Vec3 center_of(const DualGridView& dual, const std::vector<Vec3>& positions, const Quad& q) {
  const auto& w = dual.split_weights;
  const float w02 = w[q[0]] * w[q[2]], w13 = w[q[1]] * w[q[3]];
  Vec3 out{};
  for (size_t a = 0; a < 3; ++a) {
    const float mean02 = (positions[q[0]][a] + positions[q[2]][a]) / 2;
    const float mean13 = (positions[q[1]][a] + positions[q[3]][a]) / 2;
    out[a] = (w02 * mean02 + w13 * mean13) / (w02 + w13);
  }
  return out;
}

// What both forms start from.
struct Quads {
  std::vector<Vec3> positions;
  std::vector<std::vector<Quad>> by_task;
  size_t count = 0;
};

Result<Quads> find_quads(const DualGridView& dual, const Grid& grid, int threads) {
  ESP_TRY(check(dual, grid));
  const VoxelIndex index(dual.voxels);
  if (!index.unique()) return absl::InvalidArgumentError("a voxel is listed twice");
  Quads out{world_vertices(dual, grid), quads_of(dual, index, threads)};
  for (const auto& quads : out.by_task) out.count += quads.size();
  return out;
}

}  // namespace

Result<mesh::Surface> dual_mesh(const DualGridView& dual, const Grid& grid, int threads) {
  ESP_ASSIGN(Quads quads, find_quads(dual, grid, threads));
  mesh::Surface out{std::move(quads.positions), {}};
  out.triangles.reserve(quads.count * 2);
  for (const auto& part : quads.by_task) {
    for (const Quad& q : part) {
      if (cut_along_02(dual, out.positions, q)) {
        out.triangles.push_back({q[0], q[1], q[2]});
        out.triangles.push_back({q[0], q[2], q[3]});
      } else {
        out.triangles.push_back({q[0], q[1], q[3]});
        out.triangles.push_back({q[3], q[1], q[2]});
      }
    }
  }
  return out;
}

Result<mesh::Surface> dual_mesh_with_centers(const DualGridView& dual, const Grid& grid, int threads) {
  if (dual.split_weights.size() != dual.voxels.size()) return absl::InvalidArgumentError("split weights are missing");
  ESP_ASSIGN(Quads quads, find_quads(dual, grid, threads));
  mesh::Surface out{std::move(quads.positions), {}};
  out.triangles.reserve(quads.count * 4);
  for (const auto& part : quads.by_task) {
    for (const Quad& q : part) {
      const auto center = static_cast<uint32_t>(out.positions.size());
      out.positions.push_back(center_of(dual, out.positions, q));
      for (size_t k = 0; k < 4; ++k) out.triangles.push_back({q[k], q[(k + 1) % 4], center});
    }
  }
  return out;
}

}  // namespace espalier::ovoxel
