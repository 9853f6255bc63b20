#include "ovoxel/dual_grid.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ovoxel/quadric.h"
#include "ovoxel/scan.h"

namespace espalier::ovoxel {
namespace {

using Eigen::Vector3d;
using Eigen::Vector3f;
using internal::Hit;
using internal::Quadric;
using internal::Slab;
using internal::SlabTable;

constexpr float kFarthest = 16;  // vertices beyond this many grid extents are refused
constexpr double kShortestEdge = 1e-6;

using Corners = std::array<mesh::Vec3, 3>;

// What a voxel gathers before its vertex is solved for.
struct Gathered {
  Quadric quadric;
  mesh::Vec3 sum{0, 0, 0};  // of crossing points
  float count = 0;
  uint8_t intersected = 0;
};

struct Edge {
  uint32_t a, b;  // a < b
};

// Edges used by exactly one triangle, ordered by (a, b).
std::vector<Edge> boundary_edges(std::span<const mesh::Triangle> triangles) {
  std::vector<uint64_t> keys;
  keys.reserve(triangles.size() * 3);
  for (const mesh::Triangle& t : triangles) {
    for (int k = 0; k < 3; ++k) {
      const uint64_t a = std::min(t[k], t[(k + 1) % 3]), b = std::max(t[k], t[(k + 1) % 3]);
      keys.push_back(a << 32 | b);
    }
  }
  std::sort(keys.begin(), keys.end());
  std::vector<Edge> out;
  for (size_t i = 0; i < keys.size();) {
    size_t j = i + 1;
    while (j < keys.size() && keys[j] == keys[i]) ++j;
    if (j == i + 1) out.push_back({static_cast<uint32_t>(keys[i] >> 32), static_cast<uint32_t>(keys[i])});
    i = j;
  }
  return out;
}

// Exact triangle/box overlap, for boxes of one size (Schwarz and Seidel 2010, "Fast parallel surface and solid
// voxelization").
class Overlap {
 public:
  Overlap(const Corners& t, const Vector3f& n, const Vector3f& h) : n_(n), h_(h) {
    const Vector3f v[3] = {Vector3f(t[0].data()), Vector3f(t[1].data()), Vector3f(t[2].data())};
    const Vector3f c(n[0] > 0 ? h[0] : 0.0f, n[1] > 0 ? h[1] : 0.0f, n[2] > 0 ? h[2] : 0.0f);
    d1_ = n.dot(c - v[0]);
    d2_ = n.dot(h - c - v[0]);
    for (int plane = 0; plane < 3; ++plane) {
      const int a = plane, b = (plane + 1) % 3;
      const float sign = n[(plane + 2) % 3] < 0 ? -1.0f : 1.0f;
      for (int e = 0; e < 3; ++e) {
        const Vector3f edge = v[(e + 1) % 3] - v[e];
        Side& side = sides_[plane * 3 + e];
        side.u = -sign * edge[b];
        side.v = sign * edge[a];
        side.d = -(side.u * v[e][a] + side.v * v[e][b]) + std::max(0.0f, side.u) * h[a] + std::max(0.0f, side.v) * h[b];
      }
    }
  }

  bool with_box_at(int32_t x, int32_t y, int32_t z) const {
    const Vector3f p(h_[0] * static_cast<float>(x), h_[1] * static_cast<float>(y), h_[2] * static_cast<float>(z));
    const float s = n_.dot(p);
    if ((s + d1_) * (s + d2_) > 0) return false;
    for (int plane = 0; plane < 3; ++plane) {
      const float pu = p[plane], pv = p[(plane + 1) % 3];
      for (int e = 0; e < 3; ++e) {
        const Side& side = sides_[plane * 3 + e];
        if (side.u * pu + side.v * pv + side.d < 0) return false;
      }
    }
    return true;
  }

 private:
  struct Side {
    float u, v, d;
  };
  Vector3f n_, h_;
  float d1_, d2_;
  Side sides_[9];
};

// Truncated cell number without overflow for far values.
int32_t truncated(float q) { return static_cast<int32_t>(std::clamp(q, -8.0f, 8.0f * internal::kMaxGridSize)); }

// Converts one slab after another; owns the memory they share.
class SlabConverter {
 public:
  SlabConverter(std::span<const mesh::Vec3> relative, std::span<const mesh::Triangle> triangles, const Grid& grid,
                const DualGridOptions& options, const std::vector<Edge>& edges)
      : relative_(relative),
        triangles_(triangles),
        grid_(grid),
        options_(options),
        edges_(edges),
        table_(grid),
        h_(grid.voxel_size.data()) {}

  DualGrid convert(const Slab& slab, const std::vector<uint32_t>& triangles);

  // Called by the scan.
  void operator()(const Hit& hit);

 private:
  void add_faces(const std::vector<uint32_t>& triangles);
  void add_face(const Corners& corners);
  void add_boundary_edge(const Edge& edge);
  mesh::Vec3 solve(const Voxel& voxel, const Gathered& gathered) const;
  Corners corners(uint32_t t) const {
    return {relative_[triangles_[t][0]], relative_[triangles_[t][1]], relative_[triangles_[t][2]]};
  }

  std::span<const mesh::Vec3> relative_;
  std::span<const mesh::Triangle> triangles_;
  const Grid& grid_;
  const DualGridOptions& options_;
  const std::vector<Edge>& edges_;
  SlabTable table_;
  const Vector3f h_;
  std::vector<Gathered> gathered_;
  Quadric face_;  // plane of the triangle being scanned
};

void SlabConverter::operator()(const Hit& hit) {
  const int a0 = (hit.axis + 1) % 3, a1 = (hit.axis + 2) % 3;
  Voxel voxel;
  voxel[hit.axis] = hit.z;
  for (int corner = 0; corner < 4; ++corner) {
    voxel[a0] = hit.x + corner / 2;
    voxel[a1] = hit.y + corner % 2;
    if (voxel[0] < table_.slab().begin || voxel[0] >= table_.slab().end) continue;
    const uint32_t index = table_.insert(voxel[0], voxel[1], voxel[2]);
    if (index == gathered_.size()) gathered_.emplace_back();
    Gathered& g = gathered_[index];
    for (int a = 0; a < 3; ++a) g.sum[a] += hit.point[a];
    g.count += 1;
    g.quadric.add(face_);
    if (corner == 0) g.intersected |= static_cast<uint8_t>(1 << hit.axis);
  }
}

void SlabConverter::add_faces(const std::vector<uint32_t>& triangles) {
  if (!(options_.face_weight > 0)) return;
  for (const uint32_t t : triangles) add_face(corners(t));
}

void SlabConverter::add_face(const Corners& c) {
  Voxel low, high;
  for (int a = 0; a < 3; ++a) {
    const float least = std::min({c[0][a], c[1][a], c[2][a]}), most = std::max({c[0][a], c[1][a], c[2][a]});
    low[a] = std::max(truncated(least / h_[a]), 0);
    high[a] = std::min(truncated(most / h_[a] + 1), grid_.size[a]);
  }
  low[0] = std::max(low[0], table_.slab().begin);
  high[0] = std::min(high[0], table_.slab().end);
  if (low[0] >= high[0] || low[1] >= high[1] || low[2] >= high[2]) return;
  const Vector3f n = internal::unit_normal(c);
  const Quadric plane = internal::plane_quadric(n, c[0]);
  const Overlap overlap(c, n, h_);
  for (int32_t x = low[0]; x < high[0]; ++x) {
    for (int32_t y = low[1]; y < high[1]; ++y) {
      for (int32_t z = low[2]; z < high[2]; ++z) {
        if (!table_.brick_exists(x, y, z)) {
          z |= 3;  // the last cell of this brick; its x begins at the slab, its z at zero
          continue;
        }
        const uint32_t index = table_.find(x, y, z);
        if (index != SlabTable::kNone && overlap.with_box_at(x, y, z)) gathered_[index].quadric.add(plane);
      }
    }
  }
}

// Walks the voxels along a boundary edge (Amanatides and Woo 1987).
void SlabConverter::add_boundary_edge(const Edge& edge) {
  const Vector3d a = Vector3f(relative_[edge.a].data()).cast<double>();
  const Vector3d b = Vector3f(relative_[edge.b].data()).cast<double>();
  Vector3d d = b - a;
  const double length = d.norm();
  if (length < kShortestEdge) return;
  const double slab_low = (table_.slab().begin - 1) * double{h_[0]},
               slab_high = (table_.slab().end + 1) * double{h_[0]};
  if (std::max(a[0], b[0]) < slab_low || std::min(a[0], b[0]) > slab_high) return;
  d /= length;
  const Quadric line = internal::line_quadric(d, relative_[edge.a]);
  std::array<int32_t, 3> voxel, step;
  Vector3d t_max, t_delta;
  for (int k = 0; k < 3; ++k) {
    voxel[k] = static_cast<int32_t>(std::floor(a[k] / h_[k]));
    step[k] = d[k] > 0 ? 1 : -1;
    const double wall = h_[k] * static_cast<float>(voxel[k] + (d[k] > 0 ? 1 : 0));
    t_max[k] = d[k] == 0 ? HUGE_VAL : (wall - a[k]) / d[k];
    t_delta[k] = d[k] == 0 ? HUGE_VAL : h_[k] / std::abs(d[k]);
  }
  while (true) {
    const bool in_grid = voxel[1] >= 0 && voxel[1] < grid_.size[1] && voxel[2] >= 0 && voxel[2] < grid_.size[2];
    if (in_grid && voxel[0] >= table_.slab().begin && voxel[0] < table_.slab().end) {
      const uint32_t index = table_.find(voxel[0], voxel[1], voxel[2]);
      if (index != SlabTable::kNone) gathered_[index].quadric.add(line, options_.boundary_weight);
    }
    int axis = t_max[1] < t_max[2] ? 1 : 2;
    if (t_max[0] < t_max[1]) axis = t_max[0] < t_max[2] ? 0 : 2;
    if (!(t_max[axis] <= length)) return;
    t_max[axis] += t_delta[axis];
    voxel[axis] += step[axis];
  }
}

mesh::Vec3 SlabConverter::solve(const Voxel& voxel, const Gathered& g) const {
  const Vector3f mean = Vector3f(g.sum.data()) / g.count;
  Quadric quadric = g.quadric;
  quadric.add(internal::point_quadric(mean), options_.regularization_weight * g.count);
  Vector3f low, high;
  for (int a = 0; a < 3; ++a) {
    low[a] = static_cast<float>(voxel[a]) * h_[a];
    high[a] = static_cast<float>(voxel[a] + 1) * h_[a];
  }
  const Vector3f v = internal::minimize_in_box(quadric, low, high);
  return {v[0], v[1], v[2]};
}

DualGrid SlabConverter::convert(const Slab& slab, const std::vector<uint32_t>& triangles) {
  table_.start(slab);
  gathered_.clear();
  internal::TriangleScan<SlabConverter> scan(grid_, slab, *this);
  for (const uint32_t t : triangles) {
    const Corners c = corners(t);
    face_ = internal::plane_quadric(internal::unit_normal(c), c[0]);
    scan(c);
  }
  DualGrid out;
  if (gathered_.empty()) return out;
  add_faces(triangles);
  if (options_.boundary_weight > 0) {
    for (const Edge& edge : edges_) add_boundary_edge(edge);
  }
  out.voxels.reserve(gathered_.size());
  out.dual_vertices.reserve(gathered_.size());
  out.intersected.reserve(gathered_.size());
  table_.for_each_sorted([&](const Voxel& voxel, uint32_t index) {
    out.voxels.push_back(voxel);
    out.dual_vertices.push_back(solve(voxel, gathered_[index]));
    out.intersected.push_back(gathered_[index].intersected);
  });
  return out;
}

template <class T>
void append(std::vector<T>& out, const std::vector<T>& part) {
  out.insert(out.end(), part.begin(), part.end());
}

DualGrid joined(const std::vector<DualGrid>& parts) {
  size_t total = 0;
  for (const DualGrid& part : parts) total += part.voxels.size();
  DualGrid out;
  out.voxels.reserve(total);
  out.dual_vertices.reserve(total);
  out.intersected.reserve(total);
  for (const DualGrid& part : parts) {
    append(out.voxels, part.voxels);
    append(out.dual_vertices, part.dual_vertices);
    append(out.intersected, part.intersected);
  }
  return out;
}

Status check_extent(const std::vector<mesh::Vec3>& relative, const Grid& grid) {
  for (const mesh::Vec3& p : relative) {
    for (int a = 0; a < 3; ++a) {
      if (std::abs(p[a]) > kFarthest * grid.voxel_size[a] * static_cast<float>(grid.size[a])) {
        return absl::InvalidArgumentError("a vertex is more than 16 grid extents away");
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

Result<DualGrid> dual_grid(std::span<const mesh::Vec3> positions, std::span<const mesh::Triangle> triangles,
                           const Grid& grid, const DualGridOptions& options) {
  ESP_TRY(internal::check_input(positions, triangles, grid));
  const auto relative = internal::relative_positions(positions, grid);
  ESP_TRY(check_extent(relative, grid));
  const internal::Partition parts = internal::partition(relative, triangles, grid);
  const auto edges = options.boundary_weight > 0 ? boundary_edges(triangles) : std::vector<Edge>();
  const int workers = internal::worker_count(options.threads, parts.slabs.size());
  std::vector<SlabConverter> converters(static_cast<size_t>(workers),
                                        SlabConverter(relative, triangles, grid, options, edges));
  std::vector<DualGrid> found(parts.slabs.size());
  internal::for_each_slab(parts.slabs.size(), workers, [&](size_t s, int worker) {
    found[s] = converters[static_cast<size_t>(worker)].convert(parts.slabs[s], parts.triangles[s]);
  });
  return joined(found);
}

Welded welded(const mesh::Scene& scene) {
  Welded out;
  for (const mesh::Mesh& mesh : scene.meshes) {
    const auto base = static_cast<uint32_t>(out.positions.size());
    out.positions.insert(out.positions.end(), mesh.positions.begin(), mesh.positions.end());
    for (const mesh::Triangle& t : mesh.triangles) {
      mesh::Triangle triangle{};
      for (int k = 0; k < 3; ++k) triangle[k] = base + (mesh.points.empty() ? t[k] : mesh.points[t[k]]);
      out.triangles.push_back(triangle);
    }
  }
  return out;
}

std::array<uint8_t, 3> packed_vertex(const mesh::Vec3& dual_vertex, const Voxel& voxel, int32_t resolution) {
  std::array<uint8_t, 3> out{};
  for (int a = 0; a < 3; ++a) {
    const float local = dual_vertex[a] * static_cast<float>(resolution) - static_cast<float>(voxel[a]);
    out[a] = static_cast<uint8_t>(std::clamp(local, 0.0f, 1.0f) * 255.0f);
  }
  return out;
}

}  // namespace espalier::ovoxel
