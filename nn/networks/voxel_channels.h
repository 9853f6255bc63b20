#pragma once

#include <ATen/core/Tensor.h>

// What the channels of the sparse VAEs' voxels mean.
// Reference: TRELLIS.2 trellis2/models/sc_vaes/fdg_vae.py.
namespace espalier::nn {

// Input of the shape encoder, [T, 6] fp32.
//   vertices     [T, 3] uint8: the dual vertex within its voxel times 255
//   intersected  [T] uint8, bits 0, 1, 2: the voxel's grid edge along x, y, z crosses the surface
at::Tensor dual_grid_channels(const at::Tensor& vertices, const at::Tensor& intersected);

// Input of the texture encoder, [T, 6] fp32 in [-1, 1], from bytes [T, 6]: base colour, metallic, roughness, alpha.
at::Tensor attribute_channels(const at::Tensor& attributes);

// The flexible dual grid that the shape decoder describes.
struct DecodedDualGrid {
  at::Tensor vertices;      // [M, 3] fp32 within the voxel, in voxels: -margin .. 1 + margin
  at::Tensor intersected;   // [M, 3] bool
  at::Tensor split_weight;  // [M, 1] fp32 > 0: a quad is split along the diagonal of the larger product
};
// output [M, 7] fp32 of the shape decoder.
DecodedDualGrid decoded_dual_grid(const at::Tensor& output, double voxel_margin);

// [M, 6] of the texture decoder's output: base colour, metallic, roughness, alpha; nominally 0 .. 1, not clamped.
at::Tensor decoded_attributes(const at::Tensor& output);

}  // namespace espalier::nn
