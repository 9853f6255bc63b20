#pragma once

#include <cstdint>

#include "ovoxel/grid.h"

// Space-filling curves over a cube of 1024^3 voxels; coordinates must lie in [0, 1024).
namespace espalier::ovoxel {

inline constexpr int kCurveBits = 10;

// Bits of x, y, z interleaved, x most significant: (1, 2, 3) -> 29.
uint32_t z_order(const Voxel& voxel);
Voxel from_z_order(uint32_t code);

// Place along the Hilbert curve: (1, 2, 3) -> 36. Skilling 2004, "Programming the Hilbert curve".
uint32_t hilbert_order(const Voxel& voxel);
Voxel from_hilbert_order(uint32_t code);

}  // namespace espalier::ovoxel
