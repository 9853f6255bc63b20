#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "mesh/surface.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel {

// A flexible dual grid as decoders give it and files store it: M voxels in any order, each at most once.
struct DualGridView {
  std::span<const Voxel> voxels;         // [M] in the grid
  std::span<const mesh::Vec3> vertices;  // [M] in voxels, relative to each voxel; usually in [-0.5, 1.5]
  std::span<const uint8_t> intersected;  // [M] bit a: as DualGrid::intersected
  std::span<const float> split_weights;  // [M] positive, or empty
};

// The surface of a dual grid: for each crossed grid edge the four voxels around it give a quad, which is left out when
// one of them is missing, and cut into two triangles.
//
// Vertex i belongs to voxel i, also when no quad uses it. With split weights w a quad (0, 1, 2, 3) is cut along 0-2
// when w0 w2 > w1 w3, else along 1-3; without, along 0-2 unless its first triangle has no area. Quads come in the order
// of their voxels, then of the axes, and all wind towards the negative axis: which side is outside they do not say.
// A grid edge that the surface crosses twice has one flag: there, even a closed surface has a dual with edges of one
// and of three triangles. The same result for every thread count. `threads` 0: one per core.
// INVALID_ARGUMENT: lengths that differ, a voxel outside the grid or listed twice, a vertex or weight that is not
// finite, a grid size outside 1..2048.
// Reference: TRELLIS.2 o-voxel/o_voxel/convert/flexible_dual_grid.py, flexible_dual_grid_to_mesh.
Result<mesh::Surface> dual_mesh(const DualGridView& dual, const Grid& grid, int threads = 0);

// The form used in training: each quad is a fan of four triangles around a vertex of its own, between the midpoints of
// its diagonals by the weights, appended in the quads' order. Split weights are required.
Result<mesh::Surface> dual_mesh_with_centers(const DualGridView& dual, const Grid& grid, int threads = 0);

}  // namespace espalier::ovoxel
