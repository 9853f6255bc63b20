#include "nano/vae_training.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "nano/architecture.h"
#include "nano/model_files.h"
#include "nano/training_run.h"
#include "nn/sparse/ops.h"
#include "train/flow_loss.h"

namespace espalier::nano {
namespace {

constexpr int64_t kBatch = 2;
// Voxels per side of the part of an object that is trained on at a time. What a voxel becomes depends on little more
// than its latent cell's neighbours, so many small parts teach more than few whole objects of the same cost.
constexpr int kPart = 64;
constexpr double kLearningRate = 2e-3;
constexpr uint32_t kHeldGrids = 20;
constexpr size_t kValidated = 6;  // of the held grids, now and then

// N(0, 1) on the rows of `x`, each sample's from its own stream.
at::Tensor noise_like(const nn::SparseTensor& x, std::span<const PhiloxStream> streams) {
  std::vector<at::Tensor> noise;
  for (size_t i = 0; i < streams.size(); ++i) {
    noise.push_back(train::normal_noise({x.offsets[i + 1] - x.offsets[i], x.feats.size(1)}, streams[i]));
  }
  return at::cat(noise);
}

// Random parts of the samples' grids, through the latent and back.
LedDecode decoded_parts(const LatentKind& kind, const VaeObjective& objective, const ScVae& vae,
                        const std::vector<VoxelGrid>& whole, std::span<const train::SampleRef> samples, uint64_t seed) {
  std::vector<VoxelGrid> parts;
  std::vector<PhiloxStream> noise;
  for (const train::SampleRef& sample : samples) {
    PhiloxStream random = train::random_stream(seed, train::Purpose::kAugment, sample.step, sample.slot);
    VoxelGrid part = random_crop(whole[static_cast<size_t>(sample.item)], kLowVoxelResolution, kPart, random);
    parts.push_back(objective.augment ? objective.augment(std::move(part), random) : std::move(part));
    noise.push_back(train::random_stream(seed, train::Purpose::kPosterior, sample.step, sample.slot));
  }
  return led_decode(kind, vae, parts, noise);
}

}  // namespace

Result<ScVae> fresh_vae(const LatentKind& kind, uint64_t seed) {
  ScVae vae;
  at::Generator generator = at::detail::createCPUGenerator(seed);
  ESP_ASSIGN(const auto encoder_config, nn::ScVaeConfig::parse(kind.encoder_config().at("args")));
  ESP_ASSIGN(const auto decoder_config, nn::ScVaeConfig::parse(kind.decoder_config().at("args")));
  vae.encoder_parameters = nn::ScVaeEncoder::init_parameters(encoder_config, generator);
  vae.decoder_parameters = nn::ScVaeDecoder::init_parameters(decoder_config, generator);
  ESP_ASSIGN(vae.encoder, nn::ScVaeEncoder::create(encoder_config, vae.encoder_parameters));
  ESP_ASSIGN(vae.decoder, nn::ScVaeDecoder::create(decoder_config, vae.decoder_parameters));
  return vae;
}

LedDecode led_decode(const LatentKind& kind, const ScVae& vae, std::span<const VoxelGrid> grids,
                     std::span<const PhiloxStream> noise) {
  const nn::SparseTensor voxels = voxel_batch(kind, grids);
  nn::Guide guide = nn::guide_to(voxels, vae.decoder->config().levels() - 1);
  const nn::SparsePosterior posterior = vae.encoder->forward(voxels);
  const at::Tensor& mean = posterior.mean.feats;
  const at::Tensor latent = mean + (posterior.log_variance * 0.5).exp() * noise_like(posterior.mean, noise);
  nn::ScVaeDecoded decoded = vae.decoder->forward(posterior.mean.with(latent), guide.subdivisions);
  const at::Tensor kl = 0.5 * (mean.square() + posterior.log_variance.exp() - 1 - posterior.log_variance).mean();
  return {voxels.feats.index_select(0, guide.order), decoded.voxels.feats, std::move(guide.subdivisions),
          std::move(decoded.predictions), kl};
}

Status train_vae(const Recipe& recipe, const LatentKind& kind, const VaeObjective& objective) {
  const std::string name = kind.name, stage = name + "-vae";
  const uint64_t seed = recipe.seed + kind.seed;
  ESP_ASSIGN(const std::vector<VoxelGrid> grids,
             load_or_make_vae_grids(kind, seed, recipe.vae_grids, recipe.threads, recipe.work / (name + "-grids")));
  ESP_ASSIGN(const std::vector<VoxelGrid> held, load_or_make_vae_grids(kind, seed + 1, kHeldGrids, recipe.threads,
                                                                       recipe.work / ("held-" + name + "-grids")));
  ESP_ASSIGN(ScVae vae, fresh_vae(kind, seed + 2));
  vae.encoder_parameters.at("to_latent.bias").slice(0, kStructuredLatentChannels).fill_(objective.first_log_variance);
  std::vector<train::Parameter> trained;
  for (const auto& [key, tensor] : vae.encoder_parameters) trained.push_back({"encoder." + key, tensor});
  for (const auto& [key, tensor] : vae.decoder_parameters) trained.push_back({"decoder." + key, tensor});

  const int64_t steps = recipe.*kind.vae_steps;
  train::LoopConfig config = loop_config(recipe, stage, steps, kBatch);
  config.schedule = {train::Schedule::Kind::kCosine, kLearningRate, 50, steps, 0.02};
  config.validate_every = 500;
  train::LoopHooks hooks;
  hooks.validate = [&] { return objective.validate(vae, std::span(held).first(std::min(kValidated, held.size()))); };
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return objective.loss(vae, decoded_parts(kind, objective, vae, grids, samples, recipe.seed));
  };
  ESP_TRY(run_stage(stage, config, trained, grids.size(), loss, hooks));
  objective.validate(vae, held);
  ESP_TRY(save_checkpoint(recipe.base, kind.encoder.stem, kind.encoder_config(), vae.encoder_parameters));
  return save_checkpoint(recipe.base, kind.decoder.stem, kind.decoder_config(), vae.decoder_parameters);
}

}  // namespace espalier::nano
