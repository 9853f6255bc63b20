#pragma once

#include <ATen/core/Tensor.h>

#include "nano/voxel_grids.h"
#include "nn/networks/sc_vae.h"

// How well decoded textures agree with the voxels they stand for.
namespace espalier::nano {

// Mean squared errors of values in 0..1.
struct TextureError {
  double color = 0;  // base colour as images store it, over all three channels
  double metallic = 0;
  double roughness = 0;
  double alpha = 0;

  TextureError& operator+=(const TextureError& other);
  TextureError operator/(double divisor) const;
};

// 10 log10(1 / error), in dB; errors below that of half a byte step count as such.
double psnr(double mean_squared_error);

// attributes [T, 6] float32 on the rows of `want`, clamped to 0..1.
TextureError texture_error(const at::Tensor& attributes, const VoxelGrid& want);

// The mean of the posterior of a texture grid, float32 [N, C] on ascending cells.
at::Tensor texture_latent(const nn::ScVaeEncoder& encoder, const VoxelGrid& grid);

// What the decoder makes of a latent [N, C] on the ascending cells of `grid`, led along the grid's own voxels: [T, 6]
// on the grid's rows, not clamped.
at::Tensor decoded_texture(const nn::ScVaeDecoder& decoder, const at::Tensor& latent, const VoxelGrid& grid);

}  // namespace espalier::nano
