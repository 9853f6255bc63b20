#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel {

// The coarse occupancy grid of the sparse-structure stage.
//
//   voxels     [M] in [0, resolution)^3, any order
//   resolution voxels per side, a multiple of `side`
//   side       cells per side of the result (64 * grid_scale of the base)
//   returns    [side, side, side] bytes 0 or 1, index (x * side + y) * side + z
//
// A cell is 1 when any of its voxels is listed. INVALID_ARGUMENT: a voxel outside, a side that does not divide.
Result<std::vector<uint8_t>> occupancy(std::span<const Voxel> voxels, int32_t resolution, int32_t side);

// The cells of a volume [side, side, side] above zero, ascending in (x, y, z) order.
std::vector<Voxel> occupied_cells(std::span<const uint8_t> volume, int32_t side);

}  // namespace espalier::ovoxel
