#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace espalier::nn {

// Features of the flow time: t [B] fp32 in [0, 1000] -> [B, 256] fp32, 128 cosines then 128 sines.
// Reference: TRELLIS.2 trellis2/models/sparse_structure_flow.py, TimestepEmbedder.
at::Tensor timestep_embedding(const at::Tensor& t);

// Rotations of 3D tokens: integer coordinates [N, 3] (x, y, z) -> complex64 [N, d/2], slot by slot all x frequencies,
// then y, then z, then identity. n = d/2/3 frequencies base / theta^(i/n) per axis.
// Reference: TRELLIS.2 trellis2/modules/attention/rope.py, RotaryPositionEmbedder.
at::Tensor rope_phases(const at::Tensor& coords, int64_t head_dim, double base, double theta);

// Rotates adjacent channel pairs (2j, 2j+1) of x [..., d] by phases that broadcast against [..., d/2]; computed in
// fp32, returned in x's type.
at::Tensor apply_rope(const at::Tensor& x, const at::Tensor& phases);

// Absolute positions: [N, 3] -> [N, C] fp32; per axis sines then cosines, zeros in the channels left over.
// Reference: TRELLIS.2 trellis2/modules/transformer/blocks.py, AbsolutePositionEmbedder.
at::Tensor absolute_position_embedding(const at::Tensor& coords, int64_t channels);

// All cells of an R^3 grid, [R^3, 3] int64, z fastest.
at::Tensor grid_coords(int64_t resolution, at::Device device);

}  // namespace espalier::nn
