#include "nano/shape_generation.h"

#include <ATen/ATen.h>

#include "nn/networks/ss_vae.h"

namespace espalier::nano {
namespace {

constexpr int64_t kMostTokens = 1 << 20;  // out of reach of the bases judged here

}  // namespace

Result<infer::DecodedShape> generated_shape(const infer::Networks& networks, const infer::SamplerParams& params,
                                            const infer::Pipeline& pipeline, const at::Tensor& cells,
                                            const std::map<int, at::Tensor>& conditions, uint64_t seed) {
  const at::NoGradGuard no_grad;
  infer::ShapeSettings settings;
  settings.pipeline = pipeline;
  settings.grids = infer::scaled(pipeline, networks.base().grid_scale());
  settings.max_num_tokens = kMostTokens;
  settings.token_limit = kMostTokens;
  settings.params = params;
  settings.normalization = networks.base().shape_slat_normalization();
  const infer::ShapeNetworks of_shape{[&](int tier) { return networks.shape_flow(tier).get(); },
                                      [&] { return networks.shape_decoder.get(); }};
  ESP_ASSIGN(const infer::ShapeLatent latent, infer::sample_shape(of_shape, settings, cells, conditions, {},
                                                                  infer::seeded_noise(seed), infer::StageHooks{}));
  ESP_ASSIGN(const auto decoder, networks.shape_decoder.get());
  return infer::decode_shape(*decoder, latent, 0);
}

at::Tensor occupied_cells(const at::Tensor& occupancy, int64_t side) {
  const at::Tensor logits = occupancy.to(at::kFloat).sub(0.5);
  return nn::occupied_coords(logits.unsqueeze(0).unsqueeze(0), side);
}

}  // namespace espalier::nano
