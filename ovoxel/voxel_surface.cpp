#include "ovoxel/voxel_surface.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mesh/disjoint_sets.h"
#include "ovoxel/voxel_index.h"

namespace espalier::ovoxel {
namespace {

constexpr float kReach = 0.45f;  // voxels a smoothed vertex may move; below half, so that thin walls stay open
constexpr float kStep = 0.6f;    // share of the way to the neighbours' mean per pass
constexpr uint32_t kNone = VoxelIndex::kNone;

// Directions 0..5: +x -x +y -y +z -z. The opposite is direction ^ 1.
Voxel moved(Voxel v, int direction) {
  v[direction / 2] += direction % 2 == 0 ? 1 : -1;
  return v;
}

// Sorted unique cells and their numbers.
std::vector<Voxel> sorted_unique(std::span<const Voxel> voxels) {
  std::vector<Voxel> cells(voxels.begin(), voxels.end());
  std::sort(cells.begin(), cells.end());
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  return cells;
}

// The face of a cell towards an empty neighbour. Corner i and edge i (from corner i to i+1) run counter-clockwise
// seen from outside; edge i lies on the side of direction `tangents[i]`.
struct FaceShape {
  std::array<Voxel, 4> corners;  // offsets from the cell
  std::array<int, 4> tangents;
};

FaceShape face_shape(int direction) {
  const int axis = direction / 2, u = (axis + 1) % 3, v = (axis + 2) % 3;
  const bool positive = direction % 2 == 0;
  // (u, v) is right-handed about +axis; the negative face runs the other way round.
  const std::array<std::array<int, 2>, 4> ring =
      positive ? std::array<std::array<int, 2>, 4>{{{0, 0}, {1, 0}, {1, 1}, {0, 1}}}
               : std::array<std::array<int, 2>, 4>{{{0, 0}, {0, 1}, {1, 1}, {1, 0}}};
  FaceShape out{};
  for (size_t i = 0; i < 4; ++i) {
    out.corners[i][axis] = positive ? 1 : 0;
    out.corners[i][u] = ring[i][0];
    out.corners[i][v] = ring[i][1];
    const auto& a = ring[i];
    const auto& b = ring[(i + 1) % 4];
    const int side_axis = a[0] == b[0] ? u : v;
    out.tangents[i] = side_axis * 2 + (a[side_axis == u ? 0 : 1] == 1 ? 0 : 1);
  }
  return out;
}

class SurfaceBuilder {
 public:
  SurfaceBuilder(std::span<const Voxel> voxels, int32_t resolution)
      : cells_(sorted_unique(voxels)), index_(cells_), resolution_(resolution) {
    for (int d = 0; d < 6; ++d) shapes_[d] = face_shape(d);
  }

  mesh::Mesh build(int passes);

 private:
  struct Quad {
    uint32_t cell;
    int direction;
  };
  struct Neighbour {
    uint32_t quad;
    int edge;
    bool diagonal;  // the edge is also an edge of the diagonally opposite cell
  };

  void find_quads();
  Neighbour across(uint32_t quad, int edge) const;
  void number_vertices();
  void build_polygons();
  void smooth(int passes);
  mesh::Mesh triangulate() const;

  std::vector<Voxel> cells_;
  VoxelIndex index_;
  int32_t resolution_;
  std::array<FaceShape, 6> shapes_;
  std::vector<Quad> quads_;
  std::vector<uint32_t> quad_of_;      // [cells * 6]
  std::vector<uint32_t> vertex_;       // [quads * 4]
  std::vector<mesh::Vec3> lattice_;    // [vertices] place on the boundary, in voxels
  std::vector<mesh::Vec3> positions_;  // [vertices], in voxels
  // Polygons around each quad, and the centre vertex of those that need one.
  std::vector<uint32_t> ring_begin_, ring_, center_;
};

void SurfaceBuilder::find_quads() {
  quad_of_.assign(cells_.size() * 6, kNone);
  for (uint32_t c = 0; c < cells_.size(); ++c) {
    for (int d = 0; d < 6; ++d) {
      if (index_.find(moved(cells_[c], d)) != kNone) continue;
      quad_of_[size_t{c} * 6 + d] = static_cast<uint32_t>(quads_.size());
      quads_.push_back({c, d});
    }
  }
}

// The face that continues the surface over an edge. Where four faces meet at an edge, the two of one cell belong
// together, which separates cells that touch only there.
SurfaceBuilder::Neighbour SurfaceBuilder::across(uint32_t quad, int edge) const {
  const auto [cell, d] = quads_[quad];
  const int t = shapes_[d].tangents[static_cast<size_t>(edge)];
  const Voxel& c = cells_[cell];
  const uint32_t side = index_.find(moved(c, t));
  const uint32_t corner = index_.find(moved(moved(c, t), d));
  uint32_t next_cell = cell;
  int next_direction = t, back = d;
  if (side != kNone) {
    next_cell = corner == kNone ? side : corner;
    next_direction = corner == kNone ? d : t ^ 1;
    back = corner == kNone ? t ^ 1 : d ^ 1;
  }
  const auto& tangents = shapes_[next_direction].tangents;
  const auto next_edge = static_cast<int>(std::find(tangents.begin(), tangents.end(), back) - tangents.begin());
  return {quad_of_[size_t{next_cell} * 6 + static_cast<size_t>(next_direction)], next_edge,
          side == kNone && corner != kNone};
}

// Face corners joined over edges are one vertex: each vertex has exactly one fan of faces.
void SurfaceBuilder::number_vertices() {
  mesh::DisjointSets corners(quads_.size() * 4);
  for (uint32_t q = 0; q < quads_.size(); ++q) {
    for (int e = 0; e < 4; ++e) {
      const Neighbour n = across(q, e);
      if (n.quad < q) continue;  // joined from the other side
      corners.join(q * 4 + e, n.quad * 4 + (n.edge + 1) % 4);
      corners.join(q * 4 + (e + 1) % 4, n.quad * 4 + n.edge);
    }
  }
  vertex_.assign(quads_.size() * 4, kNone);
  for (uint32_t corner = 0; corner < vertex_.size(); ++corner) {
    const uint32_t r = corners.find(corner);
    if (vertex_[r] == kNone) {
      vertex_[r] = static_cast<uint32_t>(lattice_.size());
      const Quad& quad = quads_[corner / 4];
      const Voxel& cell = cells_[quad.cell];
      const Voxel& offset = shapes_[quad.direction].corners[corner % 4];
      lattice_.push_back({static_cast<float>(cell[0] + offset[0]), static_cast<float>(cell[1] + offset[1]),
                          static_cast<float>(cell[2] + offset[2])});
    }
    vertex_[corner] = vertex_[r];
  }
}

// Diagonal edges get a vertex of their own in the middle, one for each of the two sheets: the sheets may share both
// ends, and an edge must not belong to four faces. Such faces become fans about their centre.
void SurfaceBuilder::build_polygons() {
  std::vector<uint32_t> middle(quads_.size() * 4, kNone);
  const auto midpoint = [this](uint32_t a, uint32_t b) {
    mesh::Vec3 m{};
    for (int k = 0; k < 3; ++k) m[k] = (lattice_[a][k] + lattice_[b][k]) / 2;
    lattice_.push_back(m);
    return static_cast<uint32_t>(lattice_.size()) - 1;
  };
  center_.assign(quads_.size(), kNone);
  for (uint32_t q = 0; q < quads_.size(); ++q) {
    ring_begin_.push_back(static_cast<uint32_t>(ring_.size()));
    bool plain = true;
    for (uint32_t e = 0; e < 4; ++e) {
      ring_.push_back(vertex_[q * 4 + e]);
      const Neighbour n = across(q, static_cast<int>(e));
      if (!n.diagonal) continue;
      plain = false;
      uint32_t& own = middle[q * 4 + e];
      const uint32_t other = middle[n.quad * 4 + static_cast<uint32_t>(n.edge)];
      own = other != kNone ? other : midpoint(vertex_[q * 4 + e], vertex_[q * 4 + (e + 1) % 4]);
      ring_.push_back(own);
    }
    if (!plain) center_[q] = midpoint(vertex_[q * 4], vertex_[q * 4 + 2]);
  }
  ring_begin_.push_back(static_cast<uint32_t>(ring_.size()));
}

// Relaxes every vertex towards its neighbours' mean, inside a small box about its place on the boundary
// (Gibson 1998, "Constrained elastic surface nets").
void SurfaceBuilder::smooth(int passes) {
  positions_ = lattice_;
  std::vector<mesh::Vec3> sums(lattice_.size());
  std::vector<float> counts(lattice_.size());
  const auto gather = [&](uint32_t to, uint32_t from) {
    for (int k = 0; k < 3; ++k) sums[to][k] += positions_[from][k];
    counts[to] += 1;
  };
  for (int pass = 0; pass < passes; ++pass) {
    std::fill(sums.begin(), sums.end(), mesh::Vec3{});
    std::fill(counts.begin(), counts.end(), 0.0f);
    for (size_t q = 0; q < quads_.size(); ++q) {
      const uint32_t begin = ring_begin_[q], end = ring_begin_[q + 1];
      for (uint32_t i = begin; i < end; ++i) {
        const uint32_t a = ring_[i], b = ring_[i + 1 < end ? i + 1 : begin];
        gather(a, b);
        gather(b, a);
        if (center_[q] != kNone) gather(center_[q], a);
      }
    }
    for (size_t v = 0; v < positions_.size(); ++v) {
      for (int k = 0; k < 3; ++k) {
        const float moved_to = positions_[v][k] + kStep * (sums[v][k] / counts[v] - positions_[v][k]);
        positions_[v][k] = std::clamp(moved_to, lattice_[v][k] - kReach, lattice_[v][k] + kReach);
      }
    }
  }
}

float distance_squared(const mesh::Vec3& a, const mesh::Vec3& b) {
  return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]);
}

// Area-weighted means of the faces around each vertex.
void add_normals(mesh::Mesh& out) {
  std::vector<std::array<double, 3>> sums(out.positions.size());
  for (const mesh::Triangle& t : out.triangles) {
    std::array<double, 3> e{}, f{};
    for (size_t k = 0; k < 3; ++k) {
      e[k] = double{out.positions[t[1]][k]} - out.positions[t[0]][k];
      f[k] = double{out.positions[t[2]][k]} - out.positions[t[0]][k];
    }
    for (const uint32_t v : t) {
      for (size_t k = 0; k < 3; ++k) sums[v][k] += e[(k + 1) % 3] * f[(k + 2) % 3] - e[(k + 2) % 3] * f[(k + 1) % 3];
    }
  }
  out.normals.resize(out.positions.size());
  for (size_t v = 0; v < sums.size(); ++v) {
    const double length = std::sqrt(sums[v][0] * sums[v][0] + sums[v][1] * sums[v][1] + sums[v][2] * sums[v][2]);
    for (size_t k = 0; k < 3; ++k) {
      out.normals[v][k] = length > 0 ? static_cast<float>(sums[v][k] / length) : (k == 2 ? 1.0f : 0.0f);
    }
  }
}

mesh::Mesh SurfaceBuilder::triangulate() const {
  mesh::Mesh out;
  out.name = "surface";
  out.positions.reserve(positions_.size());
  const float scale = 1.0f / static_cast<float>(resolution_);
  for (const mesh::Vec3& p : positions_) {
    mesh::Vec3 q{};
    for (int k = 0; k < 3; ++k) q[k] = std::clamp(p[k] * scale - 0.5f, -0.5f, 0.5f);
    out.positions.push_back(q);
  }
  out.triangles.reserve(quads_.size() * 2);
  for (size_t q = 0; q < quads_.size(); ++q) {
    const uint32_t begin = ring_begin_[q], end = ring_begin_[q + 1];
    const uint32_t* r = &ring_[begin];
    if (center_[q] == kNone) {
      const bool other =
          distance_squared(positions_[r[1]], positions_[r[3]]) < distance_squared(positions_[r[0]], positions_[r[2]]);
      const uint32_t first = other ? 1 : 0;
      for (const uint32_t k : {1u, 2u}) {
        out.triangles.push_back({r[first], r[(first + k) % 4], r[(first + k + 1) % 4]});
      }
      continue;
    }
    for (uint32_t i = begin; i < end; ++i) {
      out.triangles.push_back({center_[q], ring_[i], ring_[i + 1 < end ? i + 1 : begin]});
    }
  }
  out.material_ids.assign(out.triangles.size(), -1);
  add_normals(out);
  return out;
}

mesh::Mesh SurfaceBuilder::build(int passes) {
  find_quads();
  number_vertices();
  build_polygons();
  smooth(passes);
  return triangulate();
}

}  // namespace

Result<mesh::Mesh> voxel_surface(std::span<const Voxel> voxels, int32_t resolution,
                                 const VoxelSurfaceOptions& options) {
  if (voxels.empty()) return absl::InvalidArgumentError("no voxels: there is no surface");
  if (resolution < 1 || resolution > 2048) return absl::InvalidArgumentError("resolution must be in 1..2048");
  if (options.smoothing_passes < 0 || options.smoothing_passes > 1000) {
    return absl::InvalidArgumentError("smoothing_passes must be in 0..1000");
  }
  for (const Voxel& v : voxels) {
    for (const int32_t x : v) {
      if (x < 0 || x >= resolution) {
        return absl::InvalidArgumentError(
            absl::StrCat("voxel (", v[0], ", ", v[1], ", ", v[2], ") is outside a grid of ", resolution, " per side"));
      }
    }
  }
  return SurfaceBuilder(voxels, resolution).build(options.smoothing_passes);
}

}  // namespace espalier::ovoxel
