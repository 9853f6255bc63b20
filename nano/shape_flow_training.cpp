#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/sha256.h"
#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/manifest.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/shape_latents.h"
#include "nano/shape_tiers.h"
#include "nano/training_run.h"
#include "nano/view_batch.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kHeldLatents = 32;

// What both tiers share.
struct Networks {
  std::unique_ptr<nn::DinoV3> image_encoder;
  std::unique_ptr<nn::ScVaeEncoder> shape_encoder;
  std::string shape_encoder_sha256;
};

struct Data {
  Corpus corpus, held;
  ShapeLatents latents, held_latents;
  nn::LatentNormalization normalization;
};

Result<Networks> load_networks(const Recipe& recipe) {
  Networks networks;
  ESP_ASSIGN(const auto image_config, nn::DinoV3Config::parse(image_encoder_config()));
  ESP_ASSIGN(const auto shape_config, nn::ScVaeConfig::parse(shape_encoder_config().at("args")));
  const std::filesystem::path image_folder = recipe.base / kImageEncoderFolder;
  ESP_ASSIGN(const nn::TensorMap image_weights, load_weights(image_folder / "model.safetensors"));
  ESP_ASSIGN(const nn::TensorMap shape_weights, load_checkpoint(recipe.base, kShapeEncoderStem));
  ESP_ASSIGN(networks.image_encoder, nn::DinoV3::create(image_config, image_weights));
  ESP_ASSIGN(networks.shape_encoder, nn::ScVaeEncoder::create(shape_config, shape_weights));
  ESP_ASSIGN(networks.shape_encoder_sha256,
             sha256_hex_of_file(recipe.base / absl::StrCat(kShapeEncoderStem, ".safetensors")));
  return networks;
}

Result<Data> load_data(const Recipe& recipe, const ShapeTier& tier, const Networks& networks) {
  Data data;
  const CorpusConfig corpus = tier_corpus(recipe, tier), held = held_tier_corpus(recipe, tier);
  ESP_ASSIGN(data.corpus, load_or_make_corpus(corpus));
  ESP_ASSIGN(data.held, load_or_make_corpus(held));
  LatentConfig config{corpus.seed, corpus.objects, tier.voxels, recipe.threads, networks.shape_encoder_sha256, {}};
  config.file = recipe.work / absl::StrCat("shape-latents-", tier.number, ".safetensors");
  ESP_ASSIGN(data.latents, load_or_make_shape_latents(*networks.shape_encoder, config));
  config.seed = held.seed;
  config.objects = std::min(held.objects, kHeldLatents);
  config.file = recipe.work / absl::StrCat("held-shape-latents-", tier.number, ".safetensors");
  ESP_ASSIGN(data.held_latents, load_or_make_shape_latents(*networks.shape_encoder, config));
  return data;
}

// The flow loss of views of the corpus.
at::Tensor batch_loss(const nn::SLatFlow& flow, const nn::DinoV3& encoder, const Data& data,
                      std::span<const train::SampleRef> samples, uint64_t seed) {
  const ViewBatch views = draw_views(data.corpus, samples, seed);
  train::FlowTask task;
  task.samples = [&](std::span<const train::SampleRef> refs) {
    std::vector<at::Tensor> feats, coords;
    for (size_t i = 0; i < refs.size(); ++i) {
      const auto& list = views.mirrored[i] ? data.latents.mirrored : data.latents.objects;
      const StructuredLatent& latent = list[static_cast<size_t>(refs[i].item)];
      feats.push_back(normalized(latent.feats, data.normalization));
      coords.push_back(latent.coords);
    }
    return train::structured_samples(feats, coords);
  };
  task.conditions = [&](std::span<const train::SampleRef>) {
    const at::NoGradGuard no_grad;
    return encoder.forward(nn::normalize_pixels(views.pixels));
  };
  task.predict = [&](const train::FlowSamples& s, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& condition) {
    return flow.forward({x, s.coords, s.offsets}, t, condition);
  };
  task.seed = seed;
  return train::flow_loss(task, samples);
}

// Loss of the held-out objects, all in one call, at fixed times and noise.
train::ValidationReport validate(const nn::SLatFlow& flow, const nn::DinoV3& encoder, const Data& data) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> feats, coords, noise;
  for (const StructuredLatent& latent : data.held_latents.objects) {
    feats.push_back(normalized(latent.feats, data.normalization));
    coords.push_back(latent.coords);
    const auto index = static_cast<int64_t>(noise.size());
    noise.push_back(
        train::normal_noise(feats.back().sizes(), train::random_stream(1, train::Purpose::kValidationNoise, index)));
  }
  const auto count = static_cast<int64_t>(feats.size());
  const train::FlowSamples samples = train::structured_samples(feats, coords);
  const at::Tensor pictures = data.held.images.narrow(0, 0, count).select(1, held_view(data.held));
  const at::Tensor tokens = encoder.forward(nn::normalize_pixels(pictures.to(at::kFloat) / 255));
  train::FlowTask task;
  task.predict = [&](const train::FlowSamples& s, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& condition) {
    return flow.forward({x, s.coords, s.offsets}, t, condition);
  };
  train::ValidationReport report;
  for (const double time : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    const train::FlowDraws draws{at::cat(noise), at::full({count}, time), at::zeros({count}, at::kBool)};
    report.times.push_back(time);
    report.losses.push_back(train::flow_loss(task, samples, draws, tokens).item<double>());
    report.loss += report.losses.back() / 5;
  }
  log_info("held-out objects", {{"loss", report.loss}});
  return report;
}

// Trains `parameters` in place.
Status train_tier(const Recipe& recipe, const ShapeTier& tier, const Networks& networks, const Data& data,
                  const nn::TensorMap& parameters, const nn::SLatFlow& flow) {
  std::vector<train::Parameter> trained;
  for (const auto& [name, tensor] : parameters) trained.push_back({name, tensor});
  const std::string stage = absl::StrCat("shape-flow-", tier.number);
  const int64_t steps = tier_steps(recipe, tier);
  train::LoopConfig config = loop_config(recipe, stage, steps, tier.batch);
  config.schedule = {train::Schedule::Kind::kCosine, tier.learning_rate, 50, steps, 0.02};
  config.validate_every = 500;
  train::LoopHooks hooks;
  hooks.validate = [&] { return validate(flow, *networks.image_encoder, data); };
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return batch_loss(flow, *networks.image_encoder, data, samples, recipe.seed);
  };
  ESP_TRY(run_stage(stage, config, trained, data.corpus.families.size(), loss, hooks));
  return save_checkpoint(recipe.base, tier.stem, shape_flow_config(), parameters);
}

}  // namespace

Status train_shape_flows(const Recipe& recipe) {
  ESP_ASSIGN(const Networks networks, load_networks(recipe));
  ESP_ASSIGN(const auto config, nn::FlowConfig::parse(shape_flow_config().at("args")));
  nn::TensorMap parameters = nn::SLatFlow::init_parameters(config, at::detail::createCPUGenerator(recipe.seed + 40));
  nn::LatentNormalization normalization;
  for (const ShapeTier& tier : kShapeTiers) {  // the higher tier goes on from the lower one
    ESP_ASSIGN(Data data, load_data(recipe, tier, networks));
    if (normalization.mean.empty()) normalization = latent_statistics(data.latents);
    data.normalization = normalization;
    ESP_TRY(write_normalization(recipe.work, normalization));
    ESP_ASSIGN(const auto flow, nn::SLatFlow::create(config, parameters));
    ESP_TRY(train_tier(recipe, tier, networks, data, parameters, *flow));
    for (auto& [name, tensor] : parameters) tensor = tensor.detach().clone();
  }
  return absl::OkStatus();
}

}  // namespace espalier::nano
