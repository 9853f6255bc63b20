#include "ovoxel/dual_grid.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "ovoxel/box_minimizer.h"
#include "ovoxel/face_cells.h"
#include "ovoxel/quadric.h"
#include "ovoxel/scan.h"

// Dual contouring (Ju, Losasso, Schaefer and Warren 2002) of a triangle mesh that need not be closed: the surface is
// kept as one vertex in each voxel it passes through, and a flag for each grid edge it crosses.
//
//   1. Scan conversion finds where grid lines pierce triangles. The four voxels around such a point become active, and
//      each adds the point and the plane of the triangle to its sums.
//   2. Triangles add their plane to all active voxels that they overlap, also where they cross no line.
//   3. Boundary edges of the mesh add a line to the active voxels along them, so that open rims stay where they are.
//   4. A voxel's vertex minimises the summed squared distances (a quadric, Garland and Heckbert 1997), drawn weakly to
//      the mean of its points, inside the voxel.
//
// The sums are float32, and the reference's, so their order is part of the result: in a voxel all of step 1 comes
// before step 2, that before step 3, and each follows the order of the triangles, or edges. A voxel belongs to one
// slab, and one thread converts a slab from beginning to end; so the number of threads changes no bit.
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

// What a voxel sums up before its vertex is solved for: the quadric (10), the crossing points (3) and their number; one
// cache line.
struct alignas(64) Sums {
  std::array<float, 16> values{};

  static Sums of(const Quadric& quadric) {
    Sums out;
    std::copy(quadric.q.begin(), quadric.q.end(), out.values.begin());
    return out;
  }
  float& point(int axis) { return values[static_cast<size_t>(10 + axis)]; }
  float& count() { return values[13]; }

  void add(const Sums& other) {
    for (size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
  }
};

struct Edge {
  uint32_t a, b;  // a < b
};

// Edges used by exactly one triangle, ordered by (a, b), by a counting sort of all edges' smaller vertices.
std::vector<Edge> boundary_edges(std::span<const mesh::Triangle> triangles, size_t vertices) {
  // For each vertex a, the vertices b > a of its edges, one per use.
  std::vector<uint32_t> begin(vertices + 1, 0), others(triangles.size() * 3);
  const auto for_each_edge = [&](auto visit) {
    for (const mesh::Triangle& t : triangles) {
      for (int k = 0; k < 3; ++k) visit(std::min(t[k], t[(k + 1) % 3]), std::max(t[k], t[(k + 1) % 3]));
    }
  };
  for_each_edge([&](uint32_t a, uint32_t) { ++begin[a]; });
  uint32_t sum = 0;
  for (uint32_t& place : begin) place = std::exchange(sum, sum + place);
  for_each_edge([&](uint32_t a, uint32_t b) { others[begin[a]++] = b; });  // begin[a] becomes the end of a
  std::vector<Edge> out;
  for (uint32_t a = 0, first = 0; a < vertices; first = begin[a++]) {
    std::sort(others.begin() + first, others.begin() + begin[a]);
    for (uint32_t i = first; i < begin[a];) {
      uint32_t next = i + 1;
      while (next < begin[a] && others[next] == others[i]) ++next;
      if (next == i + 1) out.push_back({a, others[i]});
      i = next;
    }
  }
  return out;
}

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
  bool holds(const Voxel& v) const {
    return v[0] >= table_.slab().begin && v[0] < table_.slab().end && v[1] >= 0 && v[1] < grid_.size[1] && v[2] >= 0 &&
           v[2] < grid_.size[2];
  }
  Quadric regularized(Sums& sums) const;
  internal::Box box_of(const Voxel& voxel) const;
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
  std::vector<Sums> sums_;            // by index of table_
  std::vector<uint8_t> intersected_;  // likewise
  Sums hit_;                          // what a crossing of the triangle being scanned adds
};

void SlabConverter::operator()(const Hit& hit) {
  for (int a = 0; a < 3; ++a) hit_.point(a) = hit.point[a];
  for_each_voxel(hit, table_.slab(), [&](const Voxel& voxel, int corner) {
    const uint32_t index = table_.insert(voxel[0], voxel[1], voxel[2]);
    if (index == sums_.size()) {
      sums_.emplace_back();
      intersected_.push_back(0);
    }
    sums_[index].add(hit_);
    if (corner == 0) intersected_[index] |= static_cast<uint8_t>(1 << hit.axis);
  });
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
  // The neighbouring slabs see the same triangle and take their own part of it.
  low[0] = std::max(low[0], table_.slab().begin);
  high[0] = std::min(high[0], table_.slab().end);
  if (low[0] >= high[0] || low[1] >= high[1] || low[2] >= high[2]) return;
  const Vector3f n = internal::unit_normal(c);
  const Sums plane = Sums::of(internal::plane_quadric(n, c[0]));
  internal::FaceCells(c, n, grid_).for_each(low, high, [&](const Voxel& v) {
    const uint32_t index = table_.find(v[0], v[1], v[2]);
    if (index != SlabTable::kNone) sums_[index].add(plane);
  });
}

// Walks the voxels along a boundary edge (Amanatides and Woo 1987): t_max is where, in world units from `a`, the walk
// leaves its voxel along each axis. The walk is the same in every slab, which keeps its own voxels of it.
void SlabConverter::add_boundary_edge(const Edge& edge) {
  const Vector3f a(relative_[edge.a].data()), b(relative_[edge.b].data());
  const float slab_low = static_cast<float>(table_.slab().begin - 1) * h_[0];
  const float slab_high = static_cast<float>(table_.slab().end + 1) * h_[0];
  if (std::max(a[0], b[0]) < slab_low || std::min(a[0], b[0]) > slab_high) return;
  Vector3d d = b.cast<double>() - a.cast<double>();
  const double length = d.norm();
  if (length < kShortestEdge) return;
  d /= length;
  Quadric line;
  line.add(internal::line_quadric(d, relative_[edge.a]), options_.boundary_weight);
  const Sums weighted = Sums::of(line);
  Voxel voxel, step;
  Vector3d t_max, t_delta;
  for (int k = 0; k < 3; ++k) {
    voxel[k] = static_cast<int32_t>(std::floor(a[k] / h_[k]));
    step[k] = d[k] > 0 ? 1 : -1;
    const float wall = h_[k] * static_cast<float>(voxel[k] + (d[k] > 0 ? 1 : 0));
    t_max[k] = d[k] == 0 ? HUGE_VAL : static_cast<double>(wall - a[k]) / d[k];
    t_delta[k] = d[k] == 0 ? HUGE_VAL : h_[k] / std::abs(d[k]);
  }
  while (true) {
    if (holds(voxel)) {
      const uint32_t index = table_.find(voxel[0], voxel[1], voxel[2]);
      if (index != SlabTable::kNone) sums_[index].add(weighted);
    }
    int axis = t_max[1] < t_max[2] ? 1 : 2;
    if (t_max[0] < t_max[1]) axis = t_max[0] < t_max[2] ? 0 : 2;
    if (!(t_max[axis] <= length)) return;
    t_max[axis] += t_delta[axis];
    voxel[axis] += step[axis];
  }
}

Quadric SlabConverter::regularized(Sums& sums) const {
  Quadric quadric;
  std::copy_n(sums.values.begin(), quadric.q.size(), quadric.q.begin());
  const Vector3f mean = Vector3f(&sums.point(0)) / sums.count();
  quadric.add(internal::point_quadric(mean), options_.regularization_weight * sums.count());
  return quadric;
}

internal::Box SlabConverter::box_of(const Voxel& voxel) const {
  internal::Box box;
  for (int a = 0; a < 3; ++a) {
    box.low[a] = static_cast<float>(voxel[a]) * h_[a];
    box.high[a] = static_cast<float>(voxel[a] + 1) * h_[a];
  }
  return box;
}

DualGrid SlabConverter::convert(const Slab& slab, const std::vector<uint32_t>& triangles) {
  table_.start(slab);
  sums_.clear();
  intersected_.clear();
  internal::TriangleScan<SlabConverter> scan(grid_, slab, *this);
  for (const uint32_t t : triangles) {
    const Corners c = corners(t);
    hit_ = Sums::of(internal::plane_quadric(internal::unit_normal(c), c[0]));
    hit_.count() = 1;
    scan(c);
  }
  DualGrid out;
  if (sums_.empty()) return out;
  add_faces(triangles);
  if (options_.boundary_weight > 0) {
    for (const Edge& edge : edges_) add_boundary_edge(edge);
  }
  out.voxels.reserve(sums_.size());
  out.dual_vertices.resize(sums_.size());
  out.intersected.reserve(sums_.size());
  internal::BoxMinimizer minimizer(out.dual_vertices);
  table_.for_each_sorted([&](const Voxel& voxel, uint32_t index) {
    minimizer.add(out.voxels.size(), regularized(sums_[index]), box_of(voxel));
    out.voxels.push_back(voxel);
    out.intersected.push_back(intersected_[index]);
  });
  minimizer.finish();
  return out;
}

DualGrid joined(const std::vector<DualGrid>& parts, int workers) {
  std::vector<size_t> begin;
  size_t total = 0;
  for (const DualGrid& part : parts) {
    begin.push_back(total);
    total += part.voxels.size();
  }
  DualGrid out;
  out.voxels.resize(total);
  out.dual_vertices.resize(total);
  out.intersected.resize(total);
  parallel_for(parts.size(), workers, [&](size_t s, int) {
    const auto offset = static_cast<ptrdiff_t>(begin[s]);
    std::copy(parts[s].voxels.begin(), parts[s].voxels.end(), out.voxels.begin() + offset);
    std::copy(parts[s].dual_vertices.begin(), parts[s].dual_vertices.end(), out.dual_vertices.begin() + offset);
    std::copy(parts[s].intersected.begin(), parts[s].intersected.end(), out.intersected.begin() + offset);
  });
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
  internal::Partition parts;
  std::vector<Edge> edges;
  parallel_for(2, worker_count(options.threads, 2), [&](size_t task, int) {
    if (task == 0) parts = internal::partition(relative, triangles, grid);
    if (task == 1 && options.boundary_weight > 0) edges = boundary_edges(triangles, positions.size());
  });
  const int workers = worker_count(options.threads, parts.slabs.size());
  std::vector<SlabConverter> converters(static_cast<size_t>(workers),
                                        SlabConverter(relative, triangles, grid, options, edges));
  std::vector<DualGrid> found(parts.slabs.size());
  parallel_for(parts.slabs.size(), workers, [&](size_t s, int worker) {
    found[s] = converters[static_cast<size_t>(worker)].convert(parts.slabs[s], parts.triangles[s]);
  });
  return joined(found, workers);
}

mesh::Surface welded(const mesh::Scene& scene) {
  mesh::Surface out;
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
