#include "nano/texture_evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "nano/latent_kinds.h"
#include "nn/networks/voxel_channels.h"
#include "nn/sparse/ops.h"

namespace espalier::nano {

TextureError& TextureError::operator+=(const TextureError& other) {
  color += other.color;
  metallic += other.metallic;
  roughness += other.roughness;
  alpha += other.alpha;
  return *this;
}

TextureError TextureError::operator/(double divisor) const {
  return {color / divisor, metallic / divisor, roughness / divisor, alpha / divisor};
}

double psnr(double mean_squared_error) {
  constexpr double kRounding = 1.0 / (12 * 255.0 * 255.0);  // mean square of what a byte cannot hold
  return -10 * std::log10(std::max(mean_squared_error, kRounding));
}

TextureError texture_error(const at::Tensor& attributes, const VoxelGrid& want) {
  const at::Tensor squared = (attributes.clamp(0, 1) - want.values.to(at::kFloat) / 255).square().to(at::kDouble);
  const auto mean = [&](int64_t first, int64_t count) { return squared.narrow(1, first, count).mean().item<double>(); };
  return {mean(0, 3), mean(3, 1), mean(4, 1), mean(5, 1)};
}

at::Tensor texture_latent(const nn::ScVaeEncoder& encoder, const VoxelGrid& grid) {
  const at::NoGradGuard no_grad;
  return encoder.forward(voxel_batch(kTexture, {&grid, 1})).mean.feats;
}

at::Tensor decoded_texture(const nn::ScVaeDecoder& decoder, const at::Tensor& latent, const VoxelGrid& grid) {
  const at::NoGradGuard no_grad;
  const nn::SparseTensor voxels = voxel_batch(kTexture, {&grid, 1});
  const int64_t levels = decoder.config().levels() - 1;
  const nn::Guide guide = nn::guide_to(voxels, levels);
  nn::SparseTensor cells = voxels;
  for (int64_t level = 0; level < levels; ++level) {
    const nn::ParentMap parents = nn::parent_map(cells);
    cells = {at::empty({parents.coords.size(0), 0}), parents.coords, parents.offsets};
  }
  const at::Tensor decoded =
      nn::decoded_attributes(decoder.forward(cells.with(latent), guide.subdivisions).voxels.feats);
  return at::empty_like(decoded).index_copy_(0, guide.order, decoded);
}

}  // namespace espalier::nano
