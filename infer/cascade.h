#pragma once

#include <ATen/core/Tensor.h>

#include "common/status.h"

namespace espalier::infer {

// Voxels per side along a cascade; multiples of 16, the voxels of a latent cell. The defaults are the released
// pipeline's.
struct CascadeGrid {
  int64_t low = 512;      // of the first pass
  int64_t wanted = 1024;  // of the second
  int64_t lowest = 1024;  // of the second when there are too many tokens, ...
  int64_t step = 128;     // ... reached in these steps
};

struct CascadeTokens {
  at::Tensor coords;       // [N, 4] int32 on the CPU: sample, x, y, z; unique, in lexicographic order
  int64_t resolution = 0;  // voxels per side that the coordinates stand for; their own grid is a 16th of it
};

// The latent voxels of a cascade's second pass: the first pass' surface, brought to the finer latent grid. While there
// are max_tokens or more of them the resolution goes down.
//
//   coords  [M, 4] int, voxels of the first pass
//
// INVALID_ARGUMENT: another shape, or a grid whose numbers do not lead from `wanted` to `lowest` in whole latent cells.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, sample_shape_slat_cascade.
Result<CascadeTokens> cascade_tokens(const at::Tensor& coords, const CascadeGrid& grid, int64_t max_tokens);

}  // namespace espalier::infer
