#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "mesh/surface.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel {

struct DualGridOptions {
  // Weights of the reference's data preparation. `face_weight` is a switch: 0 leaves the face planes out.
  float face_weight = 1.0f;
  float boundary_weight = 0.2f;
  float regularization_weight = 0.01f;
  int threads = 0;  // 0: one per core
};

// The flexible dual grid of a surface: M active voxels, ascending in (x, y, z) order.
struct DualGrid {
  std::vector<Voxel> voxels;              // [M]
  std::vector<mesh::Vec3> dual_vertices;  // [M] world units, relative to Grid::lo; inside their voxel
  std::vector<uint8_t> intersected;       // [M] bit a: the grid edge along axis a at the voxel's far side is crossed
};

// Converts triangles as active_voxels() does, and places one vertex in each voxel by least squares over the planes
// of the triangles in it, the mesh's boundary edges and the crossing points.
//
//   positions [N], triangles [F] in the grid's world frame. Boundary edges are those used by one triangle, by vertex
//   index: weld the mesh's seams before (welded()), else every seam counts as a boundary.
//
// The same result for every thread count. Errors as active_voxels().
// Reference: TRELLIS.2 o-voxel/src/convert/flexible_dual_grid.cpp.
Result<DualGrid> dual_grid(std::span<const mesh::Vec3> positions, std::span<const mesh::Triangle> triangles,
                           const Grid& grid, const DualGridOptions& options = {});

// A scene as one list of triangles over its surface points (Mesh::points), for dual_grid().
mesh::Surface welded(const mesh::Scene& scene);

// Bytes stored for a dual vertex: trunc(255 * clamp(vertex * resolution - voxel, 0, 1)) per axis.
std::array<uint8_t, 3> packed_vertex(const mesh::Vec3& dual_vertex, const Voxel& voxel, int32_t resolution);

}  // namespace espalier::ovoxel
