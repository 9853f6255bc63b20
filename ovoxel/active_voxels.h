#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel {

// The voxels touched by a surface: the four voxels around every grid edge that a triangle crosses.
//
//   positions  [N] in the grid's world frame; triangles [F], indices < N
//   returns    [M] unique voxels, ascending in (x, y, z) order; the same for every thread count
//
// Triangles that cross no grid line touch nothing, so a triangle smaller than a voxel may vanish; grid lines on the
// outer boundary of the grid are not tested. Empty when nothing is touched. `threads` 0: one per core.
// INVALID_ARGUMENT: an index out of range, a non-finite position, a grid size outside 1..2048.
// RESOURCE_EXHAUSTED: more than 2^31 voxels.
// Reference: TRELLIS.2 o-voxel/src/convert/flexible_dual_grid.cpp.
Result<std::vector<Voxel>> active_voxels(std::span<const mesh::Vec3> positions,
                                         std::span<const mesh::Triangle> triangles, const Grid& grid, int threads = 0);

// All meshes of a scene, normalised beforehand (mesh/normalize.h), in a cube of `resolution` voxels per side.
Result<std::vector<Voxel>> active_voxels(const mesh::Scene& scene, int32_t resolution, int threads = 0);

}  // namespace espalier::ovoxel
