#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

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
#include "train/loop.h"

// A denoiser cannot begin to use an encoder whose tokens say nothing, and an encoder learns nothing through a denoiser
// that ignores it. So the encoder first learns by itself to tell the occupancy from the picture, roughly.
namespace espalier::nano {
namespace {

constexpr int64_t kBatch = 48;
constexpr double kLearningRate = 1e-3;
constexpr int64_t kWidth = 128, kHidden = 512;
constexpr int64_t kCells = int64_t{kOccupancySide} * kOccupancySide * kOccupancySide;

// [class token, mean patch] -> hidden -> occupancy logits.
nn::TensorMap init_occupancy_reader(uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return {{"occupancy.0.weight", at::randn({kHidden, 2 * kWidth}, generator) / std::sqrt(2.0 * kWidth)},
          {"occupancy.0.bias", at::zeros({kHidden})},
          {"occupancy.2.weight", at::randn({kCells, kHidden}, generator) / std::sqrt(1.0 * kHidden)},
          {"occupancy.2.bias", at::full({kCells}, -2.0)}};  // most cells are empty
}

at::Tensor occupancy_reading(const nn::TensorMap& reader, const at::Tensor& tokens) {
  const at::Tensor summary = at::cat({tokens.select(1, 0), tokens.slice(1, kFirstPatchToken).mean(1)}, 1);
  const at::Tensor hidden =
      at::gelu(at::linear(summary, reader.at("occupancy.0.weight"), reader.at("occupancy.0.bias")));
  return at::linear(hidden, reader.at("occupancy.2.weight"), reader.at("occupancy.2.bias"));
}

double held_out_iou(const nn::DinoV3& encoder, const nn::TensorMap& reader, const Corpus& held) {
  const at::NoGradGuard no_grad;
  const at::Tensor pixels = held.images.select(1, kHeldView).to(at::kFloat) / 255;
  const at::Tensor logits = occupancy_reading(reader, encoder.forward(nn::normalize_pixels(pixels)));
  return iou(logits.view_as(held.occupancy) > 0, held.occupancy > 0).mean().item<double>();
}

}  // namespace

Status train_encoder(const Recipe& recipe) {
  ESP_ASSIGN(const Corpus corpus, load_or_make_corpus(train_corpus(recipe)));
  ESP_ASSIGN(const Corpus held, load_or_make_corpus(held_corpus(recipe)));
  ESP_ASSIGN(const auto architecture, nn::DinoV3Config::parse(image_encoder_config()));
  nn::TensorMap weights = nn::DinoV3::init_parameters(architecture, at::detail::createCPUGenerator(recipe.seed + 10));
  nn::TensorMap readers = init_occupancy_reader(recipe.seed + 11);
  readers.merge(init_patch_reader(recipe.seed + 12));
  ESP_ASSIGN(const auto encoder, nn::DinoV3::create(architecture, weights));

  std::vector<train::Parameter> trained;
  for (const auto& [name, tensor] : weights) trained.push_back({"encoder." + name, tensor});
  for (const auto& [name, tensor] : readers) trained.push_back({"readers." + name, tensor});
  train::LoopConfig config = loop_config(recipe, "encoder", recipe.encoder_steps, kBatch);
  config.schedule = {train::Schedule::Kind::kCosine, kLearningRate, 50, recipe.encoder_steps, 0.1};
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    const ViewBatch views = draw_views(corpus, samples, recipe.seed);
    std::vector<at::Tensor> cells;
    for (size_t i = 0; i < samples.size(); ++i) {
      cells.push_back((views.mirrored[i] ? corpus.mirrored : corpus.occupancy)[samples[i].item].flatten());
    }
    const at::Tensor tokens = encoder->forward(nn::normalize_pixels(views.pixels));
    return at::binary_cross_entropy_with_logits(occupancy_reading(readers, tokens), at::stack(cells).to(at::kFloat)) +
           kPatchReadingWeight * patch_reading_loss(readers, tokens, views.pixels);
  };
  ESP_TRY(run_stage("encoder", config, trained, corpus.families.size(), loss, {}));
  log_info("image encoder warmed up", {{"held_out_iou", held_out_iou(*encoder, readers, held)}});

  nn::TensorMap result;
  add_with_prefix(result, weights, "encoder.");
  add_with_prefix(result, readers, "readers.");
  for (auto& [name, tensor] : result) tensor = tensor.detach();
  return nn::write_safetensors(recipe.work / "encoder.safetensors", result);
}

}  // namespace espalier::nano
