#pragma once

#include <cstdint>

#include "common/status.h"
#include "mesh/scene.h"
#include "ovoxel/vxz.h"

namespace espalier::ovoxel {

struct PbrVoxelOptions {
  // Texels of all textures together, four bytes each and a third more for their mip levels. What has more is sampled
  // from smaller textures.
  uint64_t max_texels = uint64_t{1} << 28;
  int threads = 0;  // 0: one per core
};

// The materials of a scene in its voxels: the voxels of dual_grid() on Grid::cube(resolution), in the same order, with
// the attributes base_color (3 channels), metallic, roughness and alpha (1 each) as .vxz files store them:
// trunc(255 * clamp(x, 0, 1)).
//
//   scene    normalised beforehand (mesh/normalize.h)
//   returns  [M] voxels, ascending in (x, y, z) order; the same for every thread count
//
// Every triangle is sampled once in each voxel that it touches, at the voxel's centre projected onto its plane, from
// mip levels that suit a voxel; a voxel has the mean over its triangles. Bytes of textures and linear factors are
// multiplied as they are. Vertex colours multiply the base colour, and the alpha of materials that are not opaque.
// Faces without a material have default_material(); an opaque material with an alpha texture blends. Triangles without
// area count only where nothing else does. Emission and normal maps are not kept.
// INVALID_ARGUMENT: what mesh::validate() refuses, a resolution outside 1..2048.
// Reference: TRELLIS.2 o-voxel/src/convert/volumetic_attr.cpp, data_toolkit/voxelize_pbr.py.
Result<VoxelTable> pbr_voxels(const mesh::Scene& scene, int32_t resolution, const PbrVoxelOptions& options = {});

}  // namespace espalier::ovoxel
