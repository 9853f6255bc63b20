#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/latent_kinds.h"
#include "nano/manifest.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/structured_latents.h"
#include "nano/tiers.h"
#include "nano/training_run.h"
#include "nano/view_batch.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/slat_flow.h"
#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kHeldLatents = 32;
constexpr uint64_t kFlowSeed = 10;

// What both tiers share.
struct StructuredNetworks {
  std::unique_ptr<nn::DinoV3> image_encoder;
  LatentEncoder encoder;
  std::optional<LatentEncoder> shape_encoder;  // of a denoiser that is given shapes
};

// Latents of one kind in the denoiser's space.
struct Latents {
  StructuredLatents trained, held;
  nn::LatentNormalization normalization;

  at::Tensor feats(const StructuredLatent& latent) const { return normalized(latent.feats, normalization); }
};

struct StructuredData {
  Corpus corpus, held;
  Latents latents;
  std::optional<Latents> shapes;  // of a denoiser that is given them, on the same cells
};

Result<StructuredNetworks> load_networks(const Recipe& recipe, const LatentKind& kind) {
  StructuredNetworks networks;
  ESP_ASSIGN(const auto config, nn::DinoV3Config::parse(image_encoder_config()));
  ESP_ASSIGN(const nn::TensorMap weights, load_weights(recipe.base / kImageEncoderFolder / "model.safetensors"));
  ESP_ASSIGN(networks.image_encoder, nn::DinoV3::create(config, weights));
  ESP_ASSIGN(networks.encoder, load_encoder(kind, recipe.base));
  if (kind.is_given_shape) {
    ESP_ASSIGN(networks.shape_encoder, load_encoder(kShape, recipe.base));
  }
  return networks;
}

// All but the normalisation.
Result<Latents> load_latents(const Recipe& recipe, const Tier& tier, const LatentEncoder& encoder) {
  Latents latents;
  const CorpusConfig corpus = tier_corpus(recipe, tier), held = held_tier_corpus(recipe, tier);
  const std::string name = absl::StrCat(encoder.kind->name, "-latents-", tier.number, ".safetensors");
  ESP_ASSIGN(latents.trained, load_or_make_latents(encoder, {corpus.seed, corpus.objects, tier.voxels, recipe.threads,
                                                             recipe.work / name}));
  ESP_ASSIGN(latents.held, load_or_make_latents(encoder, {held.seed, std::min(held.objects, kHeldLatents), tier.voxels,
                                                          recipe.threads, recipe.work / ("held-" + name)}));
  return latents;
}

Status check_same_cells(const std::vector<StructuredLatent>& latents, const std::vector<StructuredLatent>& shapes) {
  for (size_t i = 0; i < latents.size(); ++i) {
    if (latents[i].coords.equal(shapes[i].coords)) continue;
    return absl::InternalError(absl::StrCat("object ", i, ": its latents are not on the cells of its shape"));
  }
  return absl::OkStatus();
}

Result<StructuredData> load_data(const Recipe& recipe, const Tier& tier, const StructuredNetworks& networks) {
  StructuredData data;
  ESP_ASSIGN(data.corpus, load_or_make_corpus(tier_corpus(recipe, tier)));
  ESP_ASSIGN(data.held, load_or_make_corpus(held_tier_corpus(recipe, tier)));
  ESP_ASSIGN(data.latents, load_latents(recipe, tier, networks.encoder));
  if (!networks.shape_encoder) return data;
  ESP_ASSIGN(data.shapes, load_latents(recipe, tier, *networks.shape_encoder));
  ESP_ASSIGN(data.shapes->normalization, read_normalization(recipe.work, kShape));
  ESP_TRY(check_same_cells(data.latents.trained.objects, data.shapes->trained.objects));
  ESP_TRY(check_same_cells(data.latents.trained.mirrored, data.shapes->trained.mirrored));
  ESP_TRY(check_same_cells(data.latents.held.objects, data.shapes->held.objects));
  return data;
}

// What the denoiser learns on: the rows of several objects, beside those of their shapes when it is given these.
class Rows {
 public:
  explicit Rows(const StructuredData& data) : data_(data) {}

  void add(const StructuredLatent& latent, const StructuredLatent* shape) {
    feats_.push_back(data_.latents.feats(latent));
    coords_.push_back(latent.coords);
    if (shape) shapes_.push_back(data_.shapes->feats(*shape));
  }

  // Of Latents::trained or held: object `index` of one of their lists.
  void add(StructuredLatents Latents::*set, std::vector<StructuredLatent> StructuredLatents::*list, size_t index) {
    add((data_.latents.*set.*list)[index], data_.shapes ? &((*data_.shapes).*set.*list)[index] : nullptr);
  }

  train::FlowSamples samples() const {
    train::FlowSamples samples = train::structured_samples(feats_, coords_);
    if (!shapes_.empty()) samples.concat = at::cat(shapes_);
    return samples;
  }

 private:
  const StructuredData& data_;
  std::vector<at::Tensor> feats_, coords_, shapes_;
};

at::Tensor predicted(const nn::SLatFlow& flow, const train::FlowSamples& s, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& condition) {
  return flow.forward({x, s.coords, s.offsets}, t, condition, s.concat);
}

// The flow loss of views of the corpus.
at::Tensor batch_loss(const nn::SLatFlow& flow, const nn::DinoV3& encoder, const StructuredData& data, Colors colors,
                      std::span<const train::SampleRef> samples, uint64_t seed) {
  const ViewBatch views = draw_views(data.corpus, samples, seed, colors);
  train::FlowTask task;
  task.samples = [&](std::span<const train::SampleRef> refs) {
    Rows rows(data);
    for (size_t i = 0; i < refs.size(); ++i) {
      rows.add(&Latents::trained, views.mirrored[i] ? &StructuredLatents::mirrored : &StructuredLatents::objects,
               static_cast<size_t>(refs[i].item));
    }
    return rows.samples();
  };
  task.conditions = [&](std::span<const train::SampleRef>) {
    const at::NoGradGuard no_grad;
    return encoder.forward(nn::normalize_pixels(views.pixels));
  };
  task.predict = [&](const train::FlowSamples& s, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& condition) { return predicted(flow, s, x, t, condition); };
  task.seed = seed;
  return train::flow_loss(task, samples);
}

// Loss of the held-out objects, all in one call, at fixed times and noise.
train::ValidationReport validate(const nn::SLatFlow& flow, const nn::DinoV3& encoder, const StructuredData& data) {
  const at::NoGradGuard no_grad;
  Rows rows(data);
  const size_t objects = data.latents.held.objects.size();
  for (size_t i = 0; i < objects; ++i) rows.add(&Latents::held, &StructuredLatents::objects, i);
  const train::FlowSamples samples = rows.samples();
  const auto count = static_cast<int64_t>(objects);
  std::vector<at::Tensor> noise;
  for (int64_t i = 0; i < count; ++i) {
    noise.push_back(train::sample_noise(samples, i, train::random_stream(1, train::Purpose::kValidationNoise, i)));
  }
  const at::Tensor pictures = data.held.images.narrow(0, 0, count).select(1, held_view(data.held));
  const at::Tensor tokens = encoder.forward(nn::normalize_pixels(pictures.to(at::kFloat) / 255));
  train::FlowTask task;
  task.predict = [&](const train::FlowSamples& s, const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& condition) { return predicted(flow, s, x, t, condition); };
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

// Trains `parameters` in place. `index`: of kTiers.
Status train_tier(const Recipe& recipe, const LatentKind& kind, size_t index, const StructuredNetworks& networks,
                  const StructuredData& data, const nn::TensorMap& parameters, const nn::SLatFlow& flow) {
  const Tier& tier = kTiers[index];
  std::vector<train::Parameter> trained;
  for (const auto& [name, tensor] : parameters) trained.push_back({name, tensor});
  const std::string stage = absl::StrCat(kind.name, "-flow-", tier.number);
  const int64_t steps = recipe.*kind.flow_steps[index];
  train::LoopConfig config = loop_config(recipe, stage, steps, tier.batch);
  config.schedule = {train::Schedule::Kind::kCosine, tier.learning_rate, 50, steps, 0.02};
  config.validate_every = 500;
  train::LoopHooks hooks;
  hooks.validate = [&] { return validate(flow, *networks.image_encoder, data); };
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return batch_loss(flow, *networks.image_encoder, data, kind.colors, samples, recipe.seed);
  };
  ESP_TRY(run_stage(stage, config, trained, data.corpus.families.size(), loss, hooks));
  validate(flow, *networks.image_encoder, data);
  return save_checkpoint(recipe.base, kind.flows[index].stem, kind.flow_config(), parameters);
}

Status train_flows(const Recipe& recipe, const LatentKind& kind) {
  ESP_ASSIGN(const StructuredNetworks networks, load_networks(recipe, kind));
  ESP_ASSIGN(const auto config, nn::FlowConfig::parse(kind.flow_config().at("args")));
  nn::TensorMap parameters =
      nn::SLatFlow::init_parameters(config, at::detail::createCPUGenerator(recipe.seed + kind.seed + kFlowSeed));
  nn::LatentNormalization normalization;
  for (size_t index = 0; index < kTiers.size(); ++index) {  // the higher tier goes on from the lower one
    if (kind.flow_steps[index] == nullptr) break;
    ESP_ASSIGN(StructuredData data, load_data(recipe, kTiers[index], networks));
    if (normalization.mean.empty()) normalization = latent_statistics(data.latents.trained);
    data.latents.normalization = normalization;
    ESP_TRY(write_normalization(recipe.work, kind, normalization));
    ESP_ASSIGN(const auto flow, nn::SLatFlow::create(config, parameters));
    ESP_TRY(train_tier(recipe, kind, index, networks, data, parameters, *flow));
    for (auto& [name, tensor] : parameters) tensor = tensor.detach().clone();
  }
  return absl::OkStatus();
}

}  // namespace

Status train_shape_flows(const Recipe& recipe) { return train_flows(recipe, kShape); }

Status train_texture_flow(const Recipe& recipe) { return train_flows(recipe, kTexture); }

}  // namespace espalier::nano
