#pragma once

#include <ATen/core/Tensor.h>

#include "common/status.h"

namespace espalier::infer {

struct CascadeTokens {
  at::Tensor coords;       // [N, 4] int32 on the CPU: sample, x, y, z; unique, in lexicographic order
  int64_t resolution = 0;  // voxels per side that the coordinates stand for; their own grid is a 16th of it
};

// The latent voxels of a cascade's second pass: the first pass' surface, brought to the finer latent grid. While there
// are max_tokens or more of them the resolution goes down by 128, but not below 1024.
//
//   coords         [M, 4] int, voxels of the first pass at lr_resolution per side
//   lr_resolution  512 for the released pipeline
//   resolution     1024 or more, a multiple of 128
//
// INVALID_ARGUMENT: another shape or resolution.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, sample_shape_slat_cascade.
Result<CascadeTokens> cascade_tokens(const at::Tensor& coords, int64_t lr_resolution, int64_t resolution,
                                     int64_t max_tokens);

}  // namespace espalier::infer
