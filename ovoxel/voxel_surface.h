#pragma once

#include <cstdint>
#include <span>

#include "common/status.h"
#include "mesh/scene.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel {

struct VoxelSurfaceOptions {
  // 0: the blocky boundary itself (still with shared vertices). Else: smoothing passes that keep every vertex within
  // half a voxel of its place on the boundary.
  int smoothing_passes = 8;
};

// The boundary of a set of occupied cells as a closed triangle mesh in [-0.5, 0.5]^3.
//
//   voxels     [M] in [0, resolution)^3, any order, duplicates allowed
//   returns    positions and unit normals; every edge belongs to exactly two triangles, which run through it in
//              opposite directions; triangles face outwards (counter-clockwise from outside)
//
// Cells that touch only along an edge or at a corner are separated: their vertices are split, so that each vertex has
// one fan of faces. INVALID_ARGUMENT: no voxels, or one outside the grid.
Result<mesh::Mesh> voxel_surface(std::span<const Voxel> voxels, int32_t resolution,
                                 const VoxelSurfaceOptions& options = {});

}  // namespace espalier::ovoxel
