#pragma once

#include <ATen/core/Tensor.h>

#include "common/status.h"
#include "nn/networks/voxel_channels.h"
#include "tests/golden/golden.h"

namespace espalier::golden {

// The mesh of one sample of the shape decoder's output, compared with the expected vertices [M, 3] and faces [F, 3].
//   voxels [M, 3] int32, grid: their rows, resolution: voxels per side
Status compare_mesh(Report& report, const std::string& name, const at::Tensor& voxels, const nn::DecodedDualGrid& grid,
                    int resolution, const at::Tensor& vertices, const at::Tensor& faces);

}  // namespace espalier::golden
