#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/philox.h"
#include "common/status.h"
#include "mesh/scene.h"
#include "nn/sparse/sparse_tensor.h"

// Objects as the VAEs of shape and texture see them: voxels with bytes, as data preparation stores them.
namespace espalier::nano {

struct LatentKind;

struct VoxelGrid {
  at::Tensor coords;  // [T, 3] uint8 voxels, ascending by (x, y, z)
  at::Tensor values;  // [T, C] uint8

  int64_t voxels() const { return coords.size(0); }
};

// The dual grid of a normalised scene: of each voxel ovoxel::packed_vertex() and ovoxel::DualGrid::intersected.
// `resolution`: 1..256 voxels per side. Errors as ovoxel::dual_grid().
Result<VoxelGrid> shape_grid(const mesh::Scene& scene, int resolution);

// The scene's materials in the same voxels: base colour (3), metallic, roughness, alpha, as ovoxel::pbr_voxels() has
// them. A material without a texture counts as one with a texture of a single colour: the base colour is as an image
// would store it. Errors as ovoxel::pbr_voxels().
Result<VoxelGrid> texture_grid(const mesh::Scene& scene, int resolution);

// The part of a grid of `resolution` voxels per side in a cube of `side`, moved to the origin. The cube is drawn at
// random, in whole latent cells; of a few draws the one with the most voxels is taken. Both are multiples of 16.
VoxelGrid random_crop(const VoxelGrid& grid, int resolution, int side, PhiloxStream& random);

// All of the grids as a batch with the channels of the kind's encoder.
nn::SparseTensor voxel_batch(const LatentKind& kind, std::span<const VoxelGrid> grids);

// Grids of kind.vae_scene(seed, 0 .. count - 1), two in three whole at 128, the others cropped out of 256. Kept in
// `folder`, one file each; made when missing or made otherwise.
Result<std::vector<VoxelGrid>> load_or_make_vae_grids(const LatentKind& kind, uint64_t seed, uint32_t count,
                                                      int threads, const std::filesystem::path& folder);

}  // namespace espalier::nano
