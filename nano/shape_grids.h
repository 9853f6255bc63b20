#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/philox.h"
#include "common/status.h"
#include "mesh/scene.h"
#include "nn/parameters.h"
#include "nn/sparse/sparse_tensor.h"

// Dual grids as the shape VAE sees them: one byte per number, as data preparation stores them.
namespace espalier::nano {

struct ShapeGrid {
  at::Tensor coords;    // [T, 3] uint8 voxels, ascending by (x, y, z)
  at::Tensor vertices;  // [T, 3] uint8, ovoxel::packed_vertex()
  at::Tensor flags;     // [T] uint8, ovoxel::DualGrid::intersected

  int64_t voxels() const { return coords.size(0); }
};

// The dual grid of a normalised scene; `resolution` 1..256 voxels per side. Errors as ovoxel::dual_grid().
Result<ShapeGrid> shape_grid(const mesh::Scene& scene, int resolution);

// The part of a grid of `resolution` voxels per side in a cube of `side`, moved to the origin. The cube is drawn at
// random, in whole latent cells; of a few draws the one with the most voxels is taken. Both are multiples of 16.
ShapeGrid random_crop(const ShapeGrid& grid, int resolution, int side, PhiloxStream& random);

// All of the grids as a batch with the channels of the shape encoder.
nn::SparseTensor shape_batch(std::span<const ShapeGrid> grids);

// Grids of random_shape(seed, 0 .. count - 1), two in three whole at 128, the others cropped out of 256. Kept in
// `folder`, one file each; made when missing or made otherwise.
Result<std::vector<ShapeGrid>> load_or_make_shape_grids(uint64_t seed, uint32_t count, int threads,
                                                        const std::filesystem::path& folder);

}  // namespace espalier::nano
