#pragma once

#include <ATen/core/Tensor.h>

// The cells that structured latents lie on, as files and requests give them.
namespace espalier::infer {

inline constexpr int kCellVoxels = 16;     // per side of a latent cell
inline constexpr int kLargestGrid = 2048;  // voxels per side (ovoxel/grid.h)

// Whether one of the cells [T, 4] int32 (sample, x, y, z) stands twice.
bool has_repeated_cell(const at::Tensor& cells);

}  // namespace espalier::infer
