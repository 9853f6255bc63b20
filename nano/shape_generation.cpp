#include "nano/shape_generation.h"

#include <ATen/ATen.h>

#include "infer/networks.h"
#include "nano/evaluation.h"
#include "nn/io/load_model.h"
#include "nn/networks/ss_vae.h"

namespace espalier::nano {
namespace {

constexpr int64_t kMostTokens = 1 << 20;  // no limit that the bases judged here could reach

}  // namespace

Result<ShapeGenerator> ShapeGenerator::load(const nn::BaseModel& base) {
  const nn::LoadOptions options{at::kFloat, c10::kCPU};
  ShapeGenerator generator;
  for (const int tier : base.tiers()) {
    ESP_ASSIGN(generator.flows_[tier], nn::load_slat_flow(base, infer::shape_flow_key(tier), options));
  }
  ESP_ASSIGN(generator.decoder_, nn::load_sc_decoder(base, "shape_slat_decoder", options));
  generator.params_ = sampler_params(base.shape_slat_sampler());
  generator.normalization_ = base.shape_slat_normalization();
  generator.grid_scale_ = base.grid_scale();
  return generator;
}

Result<infer::DecodedShape> ShapeGenerator::generate(const infer::Pipeline& pipeline, const at::Tensor& cells,
                                                     const std::map<int, at::Tensor>& conditions,
                                                     const infer::RequestAdapters& adapters, uint64_t seed) const {
  const at::NoGradGuard no_grad;
  infer::ShapeSettings settings;
  settings.pipeline = pipeline;
  settings.grids = infer::scaled(pipeline, grid_scale_);
  settings.max_num_tokens = kMostTokens;
  settings.token_limit = kMostTokens;
  settings.params = params_;
  settings.normalization = normalization_;
  const infer::ShapeNetworks networks{
      [this](int tier) -> Result<std::shared_ptr<nn::SLatFlow>> { return flows_.at(tier); },
      [this]() -> Result<std::shared_ptr<nn::ScVaeDecoder>> { return decoder_; }};
  ESP_ASSIGN(const infer::ShapeLatent latent, infer::sample_shape(networks, settings, cells, conditions, adapters,
                                                                  infer::seeded_noise(seed), infer::StageHooks{}));
  return infer::decode_shape(*decoder_, latent, 0);
}

at::Tensor occupied_cells(const at::Tensor& occupancy, int64_t side) {
  const at::Tensor logits = occupancy.to(at::kFloat).sub(0.5);
  return nn::occupied_coords(logits.unsqueeze(0).unsqueeze(0), side);
}

}  // namespace espalier::nano
