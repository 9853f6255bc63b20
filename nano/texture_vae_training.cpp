#include "nano/texture_vae_training.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <array>

#include "common/log.h"
#include "nano/texture_evaluation.h"

namespace espalier::nano {
namespace {

constexpr int64_t kAttributes = 6;
constexpr float kMiddle = 127.5f;
constexpr double kFirstLogVariance = -4;
// Detail that hardly lowers the error stays out of the latent, so that the denoiser has less to tell.
constexpr double kKlWeight = 3e-4;

train::ValidationReport validate_textures(const ScVae& vae, std::span<const VoxelGrid> held) {
  TextureError mean;
  for (const VoxelGrid& grid : held) {
    const at::Tensor cells = texture_latent(*vae.encoder, grid);
    mean += texture_error(decoded_texture(*vae.decoder, cells, grid), grid) / static_cast<double>(held.size());
  }
  log_info("held-out textures", {{"color_psnr", psnr(mean.color)},
                                 {"metallic_psnr", psnr(mean.metallic)},
                                 {"roughness_psnr", psnr(mean.roughness)},
                                 {"alpha_psnr", psnr(mean.alpha)}});
  train::ValidationReport report;
  report.loss = mean.color;
  return report;
}

// Factors and offsets of the six attributes of one cube.
void draw_map(PhiloxStream& random, float* factors, float* offsets) {
  constexpr int kAlpha = 5;
  constexpr double kAlphaKept = 0.8;
  for (int i = 0; i < kAttributes; ++i) {
    const bool kept = i == kAlpha && random.uniform() < kAlphaKept;
    factors[i] = kept ? 1 : static_cast<float>(random.uniform(-1, 1));
    offsets[i] = kept ? kMiddle : static_cast<float>(random.uniform(0, 255));
  }
}

}  // namespace

VoxelGrid patchwork(VoxelGrid part, PhiloxStream& random) {
  constexpr int64_t kCubes = 8;  // per side, at least as many as a part has
  constexpr uint32_t kSmallest = 12, kLargest = 32;
  const int64_t side = kSmallest + random.below(kLargest - kSmallest + 1);
  std::array<int64_t, 3> corner{};
  for (int64_t& value : corner) value = random.below(static_cast<uint32_t>(side));
  at::Tensor maps = at::empty({kCubes * kCubes * kCubes, 2 * kAttributes});
  for (int64_t i = 0; i < maps.size(0); ++i) {
    float* row = maps.mutable_data_ptr<float>() + i * 2 * kAttributes;
    draw_map(random, row, row + kAttributes);
  }
  const at::Tensor cubes = (part.coords.to(at::kLong) + at::tensor(corner)).div(side, "floor").clamp_max(kCubes - 1);
  const at::Tensor own =
      maps.index_select(0, (cubes.select(1, 0) * kCubes + cubes.select(1, 1)) * kCubes + cubes.select(1, 2));
  const at::Tensor values = (part.values.to(at::kFloat) - kMiddle) * own.narrow(1, 0, kAttributes);
  part.values = (values + own.narrow(1, kAttributes, kAttributes)).clamp(0, 255).to(at::kByte);
  return part;
}

at::Tensor texture_vae_loss(const LedDecode& decode) {
  return (decode.output - decode.input).abs().mean() + kKlWeight * decode.kl;
}

Status train_texture_vae(const Recipe& recipe) {
  const auto loss = [](const ScVae&, const LedDecode& decode) { return texture_vae_loss(decode); };
  return train_vae(recipe, kTexture, {patchwork, loss, validate_textures, kFirstLogVariance});
}

}  // namespace espalier::nano
