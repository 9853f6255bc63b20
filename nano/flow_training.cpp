#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/manifest.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/training_run.h"
#include "nano/view_batch.h"
#include "nn/io/safetensors.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"
#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::nano {
namespace {

constexpr int64_t kFlowBatch = 32;  // pictures
constexpr double kFlowLearningRate = 1.5e-3;

struct Networks {
  nn::TensorMap flow_parameters, encoder_parameters, readers;
  std::unique_ptr<nn::SparseStructureFlow> flow;
  std::unique_ptr<nn::DinoV3> encoder;

  std::vector<train::Parameter> trained() const {
    std::vector<train::Parameter> all;
    for (const auto& [name, tensor] : flow_parameters) all.push_back({"flow." + name, tensor});
    for (const auto& [name, tensor] : encoder_parameters) all.push_back({"encoder." + name, tensor});
    for (const auto& [name, tensor] : readers) {
      if (name.rfind("patch.", 0) == 0) all.push_back({"readers." + name, tensor});
    }
    return all;
  }
};

Result<Networks> start_networks(const Recipe& recipe) {
  Networks networks;
  ESP_ASSIGN(const auto flow_config, nn::FlowConfig::parse(ss_flow_config().at("args")));
  ESP_ASSIGN(const auto encoder_config, nn::DinoV3Config::parse(image_encoder_config()));
  ESP_ASSIGN(const nn::TensorMap warm, load_weights(recipe.work / "encoder.safetensors"));
  networks.encoder_parameters = without_prefix(warm, "encoder.");
  networks.readers = without_prefix(warm, "readers.");
  networks.flow_parameters =
      nn::SparseStructureFlow::init_parameters(flow_config, at::detail::createCPUGenerator(recipe.seed + 20));
  ESP_ASSIGN(networks.flow, nn::SparseStructureFlow::create(flow_config, networks.flow_parameters));
  ESP_ASSIGN(networks.encoder, nn::DinoV3::create(encoder_config, networks.encoder_parameters));
  return networks;
}

Result<at::Tensor> encode_all(const nn::SparseStructureEncoder& encoder, const at::Tensor& occupancy) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> latents;
  for (const at::Tensor& part : occupancy.split(64)) {
    latents.push_back(encoder.forward(part.unsqueeze(1).to(at::kFloat)).mean);
  }
  return at::cat(latents);
}

struct Data {
  Corpus corpus, held;
  at::Tensor latents, mirrored_latents, held_latents;  // [N, 8, 4, 4, 4]
  std::unique_ptr<nn::SparseStructureDecoder> decoder;
};

// The latents come from the rounded weights on disk, which everybody else will use.
Result<Data> load_data(const Recipe& recipe) {
  Data data;
  ESP_ASSIGN(data.corpus, load_or_make_corpus(train_corpus(recipe)));
  ESP_ASSIGN(data.held, load_or_make_corpus(held_corpus(recipe)));
  ESP_ASSIGN(const auto encoder_config, nn::SsVaeConfig::parse(ss_encoder_config().at("args")));
  ESP_ASSIGN(const auto decoder_config, nn::SsVaeConfig::parse(ss_decoder_config().at("args")));
  ESP_ASSIGN(const nn::TensorMap encoder_weights, load_checkpoint(recipe.base, kSsEncoderStem));
  ESP_ASSIGN(const nn::TensorMap decoder_weights, load_checkpoint(recipe.base, kSsDecoderStem));
  ESP_ASSIGN(const auto encoder, nn::SparseStructureEncoder::create(encoder_config, encoder_weights));
  ESP_ASSIGN(data.decoder, nn::SparseStructureDecoder::create(decoder_config, decoder_weights));
  ESP_ASSIGN(data.latents, encode_all(*encoder, data.corpus.occupancy));
  ESP_ASSIGN(data.mirrored_latents, encode_all(*encoder, data.corpus.mirrored));
  ESP_ASSIGN(data.held_latents, encode_all(*encoder, data.held.occupancy));
  return data;
}

// Flow loss of the samples, plus the readings of the patch tokens.
at::Tensor joint_loss(const Networks& networks, const Data& data, std::span<const train::SampleRef> samples,
                      uint64_t seed) {
  const ViewBatch views = draw_views(data.corpus, samples, seed);
  const at::Tensor tokens = networks.encoder->forward(nn::normalize_pixels(views.pixels));
  std::vector<at::Tensor> latents;
  for (size_t i = 0; i < samples.size(); ++i) {
    latents.push_back((views.mirrored[i] ? data.mirrored_latents : data.latents)[samples[i].item]);
  }
  train::FlowTask task;
  task.samples = [&](std::span<const train::SampleRef>) { return train::dense_samples(at::stack(latents)); };
  task.conditions = [&](std::span<const train::SampleRef>) { return tokens; };
  task.predict = [&](const train::FlowSamples&, const at::Tensor& x, const at::Tensor& t, const at::Tensor& condition) {
    return networks.flow->forward(x, t, condition);
  };
  task.time = train::TimeDistribution::logit_normal(1, 1);
  task.seed = seed;
  return train::flow_loss(task, samples) +
         kPatchReadingWeight * patch_reading_loss(networks.readers, tokens, views.pixels);
}

// Held-out flow loss at fixed times and noise; logs the IoU of generated occupancy beside it.
train::ValidationReport validate(const Networks& networks, const Data& data) {
  const at::NoGradGuard no_grad;
  const at::Tensor pixels = data.held.images.select(1, kHeldView).to(at::kFloat) / 255;
  const at::Tensor tokens = networks.encoder->forward(nn::normalize_pixels(pixels));
  std::vector<at::Tensor> noise;
  for (int64_t i = 0; i < tokens.size(0); ++i) {
    noise.push_back(train::normal_noise(data.held_latents.sizes().slice(1),
                                        train::random_stream(1, train::Purpose::kValidationNoise, i)));
  }
  const at::Tensor fixed = at::stack(noise);
  train::ValidationReport report;
  for (const double time : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    const at::Tensor t = at::full({tokens.size(0)}, time);
    const at::Tensor velocity =
        networks.flow->forward(train::noised(data.held_latents, fixed, t), t * train::kTimeScale, tokens);
    report.times.push_back(time);
    report.losses.push_back((velocity - train::flow_target(data.held_latents, fixed)).square().mean().item<double>());
    report.loss += report.losses.back() / 5;
  }
  const auto got = sample_occupancy(*networks.flow, *data.decoder, tokens, default_sampler(), 1);
  const double agreement = got.ok() ? iou(*got, data.held.occupancy > 0).mean().item<double>() : 0;
  log_info("held-out objects", {{"loss", report.loss}, {"iou", agreement}});
  return report;
}

Status run_phase(const Recipe& recipe, const std::string& stage, uint64_t seed, int64_t steps,
                 const train::Schedule& schedule, const Networks& networks, const Data& data) {
  train::LoopConfig config = loop_config(recipe, stage, steps, kFlowBatch);
  config.schedule = schedule;
  config.validate_every = 500;
  config.seed = seed;
  train::LoopHooks hooks;
  hooks.validate = [&] { return validate(networks, data); };
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return joint_loss(networks, data, samples, seed);
  };
  return run_stage(stage, config, networks.trained(), data.corpus.families.size(), loss, hooks);
}

}  // namespace

Status train_ss_flow(const Recipe& recipe) {
  ESP_ASSIGN(const Data data, load_data(recipe));
  ESP_ASSIGN(const Networks networks, start_networks(recipe));
  // A constant rate first, so that the phase can be lengthened after the fact; then down to nothing, with other draws.
  const train::Schedule constant{train::Schedule::Kind::kConstant, kFlowLearningRate, 100, recipe.flow_steps, 1};
  ESP_TRY(run_phase(recipe, "flow", recipe.seed, recipe.flow_steps, constant, networks, data));
  const train::Schedule falling{train::Schedule::Kind::kCosine, kFlowLearningRate, 50, recipe.anneal_steps, 0.02};
  const std::string anneal = absl::StrCat("anneal-", recipe.flow_steps, "-", recipe.anneal_steps);
  ESP_TRY(run_phase(recipe, anneal, recipe.seed + 1, recipe.anneal_steps, falling, networks, data));

  ESP_TRY(save_checkpoint(recipe.base, kSsFlowStem, ss_flow_config(), networks.flow_parameters));
  const std::filesystem::path encoder = recipe.base / kImageEncoderFolder;
  return save_model(encoder / "config.json", image_encoder_config(), encoder / "model.safetensors",
                    networks.encoder_parameters);
}

}  // namespace espalier::nano
