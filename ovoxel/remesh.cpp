#include "ovoxel/remesh.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "ovoxel/edge_cells.h"
#include "ovoxel/voxel_index.h"

namespace espalier::ovoxel {
namespace {

using mesh::Vec3;

constexpr int32_t kCoarsest = 32;
constexpr int32_t kFinest = 2000;       // with the corners, below VoxelIndex::kMaxSide
constexpr float kHalfDiagonal = 0.87f;  // of a cell of side 1, rounded up
constexpr size_t kPointsPerTask = 4096;

// The corners of a cell, x slowest.
constexpr Voxel kCorners[8] = {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}};
// Its edges as pairs of corners.
constexpr uint8_t kEdges[12][2] = {{0, 4}, {1, 5}, {2, 6}, {3, 7}, {0, 2}, {1, 3},
                                   {4, 6}, {5, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}};
constexpr uint8_t kFarEdge[3] = {3, 7, 11};  // along each axis, at the far side of the others

Voxel plus(const Voxel& a, const Voxel& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }

Status check(const RemeshOptions& options) {
  int32_t side = options.resolution;
  while (side > kCoarsest && side % 2 == 0) side /= 2;
  if (options.resolution < 4 || options.resolution > kFinest || side > kCoarsest) {
    return absl::InvalidArgumentError(absl::StrCat("resolution ", options.resolution, " must be 4..", kFinest,
                                                   " and even until it is ", kCoarsest, " or less"));
  }
  if (!(options.band >= 0.1f && options.band <= 8) || !(options.project >= 0 && options.project <= 1)) {
    return absl::InvalidArgumentError("band must be 0.1..8 and project 0..1");
  }
  return absl::OkStatus();
}

// Distances from points to the surface.
class Distances {
 public:
  Distances(const mesh::ClosestPoint& surface, int threads) : surface_(surface), threads_(threads) {}

  // `position(i)` is the place of point i of `count`.
  template <class Position>
  std::vector<float> of(size_t count, const Position& position) const {
    std::vector<float> out(count);
    const size_t tasks = (count + kPointsPerTask - 1) / kPointsPerTask;
    parallel_for(tasks, worker_count(threads_, tasks), [&](size_t task, int) {
      const size_t end = std::min(count, (task + 1) * kPointsPerTask);
      for (size_t i = task * kPointsPerTask; i < end; ++i) out[i] = surface_.find(position(i)).distance;
    });
    return out;
  }

 private:
  const mesh::ClosestPoint& surface_;
  int threads_;
};

std::vector<Voxel> all_cells(int32_t side) {
  std::vector<Voxel> out;
  for (int32_t x = 0; x < side; ++x) {
    for (int32_t y = 0; y < side; ++y) {
      for (int32_t z = 0; z < side; ++z) out.push_back({x, y, z});
    }
  }
  return out;
}

// The cells that the boundary may cross, from coarse to fine.
std::vector<Voxel> band_cells(const Distances& distances, int32_t resolution, float scale, float eps) {
  int32_t side = resolution;
  while (side > kCoarsest) side /= 2;
  std::vector<Voxel> cells = all_cells(side);
  for (;; side *= 2) {
    const auto reach = kHalfDiagonal * scale / static_cast<float>(side);
    const auto far = distances.of(cells.size(), [&](size_t i) {
      Vec3 p;
      for (size_t a = 0; a < 3; ++a) {
        p[a] = ((static_cast<float>(cells[i][a]) + 0.5f) / static_cast<float>(side) - 0.5f) * scale;
      }
      return p;
    });
    size_t kept = 0;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (std::abs(far[i] - eps) < reach) cells[kept++] = cells[i];
    }
    cells.resize(kept);
    if (side == resolution) break;
    std::vector<Voxel> children;
    children.reserve(cells.size() * 8);
    for (const Voxel& c : cells) {
      for (const Voxel& corner : kCorners) children.push_back(plus({2 * c[0], 2 * c[1], 2 * c[2]}, corner));
    }
    cells = std::move(children);
  }
  std::sort(cells.begin(), cells.end());
  return cells;
}

std::vector<Voxel> corners_of(const std::vector<Voxel>& cells) {
  std::vector<Voxel> out;
  out.reserve(cells.size() * 8);
  for (const Voxel& cell : cells) {
    for (const Voxel& corner : kCorners) out.push_back(plus(cell, corner));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The values at the corners of single cells.
class CornerValues {
 public:
  explicit CornerValues(const NarrowBand& band) : band_(band), index_(band.corners) {}

  std::array<float, 8> of(const Voxel& cell) const {
    std::array<float, 8> out;
    for (size_t i = 0; i < 8; ++i) out[i] = band_.values[index_.find(plus(cell, kCorners[i]))];
    return out;
  }

 private:
  const NarrowBand& band_;
  VoxelIndex index_;
};

// Within the cell, in cells: the mean of the crossings of its edges, the middle where there is none.
Vec3 vertex_of(const std::array<float, 8>& values) {
  Vec3 sum{};
  float count = 0;
  for (const auto& [from, to] : kEdges) {
    if ((values[from] < 0) == (values[to] < 0)) continue;
    const float t = -values[from] / (values[to] - values[from]);
    for (size_t a = 0; a < 3; ++a) {
      const auto start = static_cast<float>(kCorners[from][a]), end = static_cast<float>(kCorners[to][a]);
      sum[a] += start + t * (end - start);
    }
    ++count;
  }
  if (count == 0) return {0.5f, 0.5f, 0.5f};
  return {sum[0] / count, sum[1] / count, sum[2] / count};
}

std::array<int8_t, 3> crossings_of(const std::array<float, 8>& values) {
  std::array<int8_t, 3> out{};
  for (size_t a = 0; a < 3; ++a) {
    const auto& [from, to] = kEdges[kFarEdge[a]];
    if ((values[from] < 0) != (values[to] < 0)) out[a] = values[from] < 0 ? 1 : -1;
  }
  return out;
}

// Two triangles of a quad, so that they face out of the distance.
void add_quad(const std::array<uint32_t, 4>& q, bool out_of, std::vector<mesh::Triangle>& triangles) {
  if (out_of) {
    triangles.push_back({q[0], q[2], q[1]});
    triangles.push_back({q[0], q[3], q[2]});
  } else {
    triangles.push_back({q[0], q[1], q[2]});
    triangles.push_back({q[0], q[2], q[3]});
  }
}

std::vector<mesh::Triangle> quads(const NarrowBand& band) {
  const auto crossed = crossings(band);
  const VoxelIndex index(band.cells);
  std::vector<mesh::Triangle> out;
  for (size_t i = 0; i < band.cells.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      if (crossed[i][a] == 0) continue;
      std::array<uint32_t, 4> q;
      for (size_t k = 0; k < 4; ++k) q[k] = index.find(plus(band.cells[i], internal::kAroundEdge[a][k]));
      if (std::find(q.begin(), q.end(), VoxelIndex::kNone) != q.end()) continue;
      add_quad(q, crossed[i][a] > 0, out);
    }
  }
  return out;
}

}  // namespace

Result<NarrowBand> narrow_band(const mesh::ClosestPoint& surface, const RemeshOptions& options) {
  ESP_TRY(check(options));
  const Distances distances(surface, options.threads);
  const auto resolution = static_cast<float>(options.resolution);
  NarrowBand out;
  out.resolution = options.resolution;
  out.scale = (resolution + 3 * options.band) / resolution;
  const float eps = options.band * out.scale / resolution;
  out.cells = band_cells(distances, options.resolution, out.scale, eps);
  out.corners = corners_of(out.cells);
  out.values = distances.of(out.corners.size(), [&](size_t i) {
    Vec3 p;
    for (size_t a = 0; a < 3; ++a) p[a] = (static_cast<float>(out.corners[i][a]) / resolution - 0.5f) * out.scale;
    return p;
  });
  for (float& value : out.values) value -= eps;
  return out;
}

std::vector<std::array<int8_t, 3>> crossings(const NarrowBand& band) {
  const CornerValues values(band);
  std::vector<std::array<int8_t, 3>> out;
  out.reserve(band.cells.size());
  for (const Voxel& cell : band.cells) out.push_back(crossings_of(values.of(cell)));
  return out;
}

mesh::Surface contour(const NarrowBand& band) {
  mesh::Surface out;
  out.triangles = quads(band);
  std::vector<uint32_t> place(band.cells.size(), VoxelIndex::kNone);
  for (const mesh::Triangle& t : out.triangles) {
    for (const uint32_t cell : t) place[cell] = 0;
  }
  const CornerValues values(band);
  for (size_t i = 0; i < place.size(); ++i) {
    if (place[i] == VoxelIndex::kNone) continue;
    place[i] = static_cast<uint32_t>(out.positions.size());
    Vec3 p = vertex_of(values.of(band.cells[i]));
    for (size_t a = 0; a < 3; ++a) {
      p[a] = ((static_cast<float>(band.cells[i][a]) + p[a]) / static_cast<float>(band.resolution) - 0.5f) * band.scale;
    }
    out.positions.push_back(p);
  }
  for (mesh::Triangle& t : out.triangles) {
    for (uint32_t& vertex : t) vertex = place[vertex];
  }
  return out;
}

Result<mesh::Surface> remesh(const mesh::Surface& surface, const RemeshOptions& options) {
  ESP_ASSIGN(const auto tree, mesh::ClosestPoint::over(surface));
  ESP_ASSIGN(const NarrowBand band, narrow_band(tree, options));
  mesh::Surface out = contour(band);
  if (options.project > 0) {
    for (Vec3& p : out.positions) {
      const Vec3 target = tree.find(p).point;
      for (size_t a = 0; a < 3; ++a) p[a] -= options.project * (p[a] - target[a]);
    }
  }
  return out;
}

}  // namespace espalier::ovoxel
