#include <ATen/ATen.h>
#include <torch/types.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/latent_kinds.h"
#include "nano/objects.h"
#include "nano/recipe.h"
#include "nano/structured_latents.h"
#include "nano/texture_evaluation.h"
#include "nano/texture_generation.h"
#include "nano/tiers.h"
#include "nn/io/load_model.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kJudgedObjects = 20;  // held-out objects
constexpr uint32_t kAveraged = 100;      // training objects whose mean is a baseline

struct TextureModel {
  nn::BaseModel base;
  std::unique_ptr<nn::DinoV3> image_encoder;
  std::unique_ptr<nn::ScVaeEncoder> shape_encoder, texture_encoder;
  std::unique_ptr<nn::ScVaeDecoder> texture_decoder;
};

Result<TextureModel> load_texture_model(const std::filesystem::path& folder) {
  const nn::LoadOptions options{at::kFloat, c10::kCPU};
  ESP_ASSIGN(nn::BaseModel base, nn::BaseModel::open(folder));
  TextureModel model{std::move(base), nullptr, nullptr, nullptr, nullptr};
  ESP_ASSIGN(model.image_encoder, nn::load_image_encoder(model.base, options));
  ESP_ASSIGN(model.shape_encoder, nn::load_sc_encoder(model.base, kShape.encoder.key, options));
  ESP_ASSIGN(model.texture_encoder, nn::load_sc_encoder(model.base, kTexture.encoder.key, options));
  ESP_ASSIGN(model.texture_decoder, nn::load_sc_decoder(model.base, kTexture.decoder.key, options));
  return model;
}

// What a tier is judged on: the first held-out objects, seen from one view.
struct JudgedTextures {
  std::vector<VoxelGrid> textures;
  std::vector<StructuredLatent> shapes;  // their own
  at::Tensor pictures;                   // [N, 3, W, W] float32 in [0, 1]
};

Result<JudgedTextures> load_judged_textures(const Recipe& recipe, const Tier& tier, const TextureModel& model) {
  JudgedTextures judged;
  const CorpusConfig config = held_tier_corpus(recipe, tier);
  ESP_ASSIGN(const Corpus corpus, load_or_make_corpus(config));
  judged.pictures = corpus.images.narrow(0, 0, kJudgedObjects).select(1, held_view(corpus)).to(at::kFloat) / 255;
  for (uint32_t i = 0; i < kJudgedObjects; ++i) {
    const mesh::Scene scene = make_object(config.seed, i).scene;
    ESP_ASSIGN(judged.textures.emplace_back(), texture_grid(scene, tier.voxels));
    ESP_ASSIGN(const VoxelGrid shape, shape_grid(scene, tier.voxels));
    const nn::SparseTensor cells = model.shape_encoder->forward(voxel_batch(kShape, {&shape, 1})).mean;
    judged.shapes.push_back({cells.coords.narrow(1, 1, 3).contiguous(), cells.feats});
  }
  return judged;
}

// The six attributes of an object's voxels on the whole, [1, 6] in 0..1.
at::Tensor mean_attributes(const VoxelGrid& grid) { return grid.values.to(at::kFloat).mean(0, /*keepdim=*/true) / 255; }

Result<at::Tensor> training_mean(const Recipe& recipe) {
  const CorpusConfig config = tier_corpus(recipe, kTiers[0]);
  at::Tensor sum = at::zeros({1, 6});
  const uint32_t count = std::min(kAveraged, config.objects);
  for (uint32_t i = 0; i < count; ++i) {
    ESP_ASSIGN(const VoxelGrid grid, texture_grid(make_object(config.seed, i).scene, kTiers[0].voxels));
    sum += mean_attributes(grid);
  }
  return sum / static_cast<double>(count);
}

// The mean colour of what is not black in a picture [3, W, W], beside the other attributes of `training`.
at::Tensor picture_mean(const at::Tensor& picture, const at::Tensor& training) {
  constexpr double kBlack = 4.0 / 255;
  const at::Tensor seen = picture.amax(0) > kBlack;
  at::Tensor mean = training.clone();
  mean.narrow(1, 0, 3).copy_(picture.masked_select(seen).view({3, -1}).mean(1));
  return mean;
}

using Answer = std::function<Result<at::Tensor>(size_t index)>;  // attributes [T, 6] or [1, 6] of a judged object

Result<nlohmann::json> judgement(const JudgedTextures& judged, const Answer& answer) {
  TextureError mean;
  for (size_t i = 0; i < judged.textures.size(); ++i) {
    ESP_ASSIGN(const at::Tensor attributes, answer(i));
    mean += texture_error(attributes, judged.textures[i]) / static_cast<double>(judged.textures.size());
  }
  return nlohmann::json{{"base_color_psnr", psnr(mean.color)},
                        {"metallic_psnr", psnr(mean.metallic)},
                        {"roughness_psnr", psnr(mean.roughness)},
                        {"alpha_psnr", psnr(mean.alpha)}};
}

Result<nlohmann::json> judge_tier(const Recipe& recipe, size_t index, const TextureModel& model,
                                  const at::Tensor& training) {
  ESP_ASSIGN(const JudgedTextures judged, load_judged_textures(recipe, kTiers[index], model));
  ESP_ASSIGN(const auto flow, nn::load_slat_flow(model.base, kTexture.flows[index].key, {at::kFloat, c10::kCPU}));
  const at::Tensor tokens = model.image_encoder->forward(nn::normalize_pixels(judged.pictures));
  const infer::SamplerParams params = sampler_params(model.base.tex_slat_sampler());
  const auto row = [&](size_t i) { return static_cast<int64_t>(i); };
  const std::vector<std::pair<const char*, Answer>> answers{
      {"encoded_and_decoded",
       [&](size_t i) -> Result<at::Tensor> {
         const VoxelGrid& grid = judged.textures[i];
         return decoded_texture(*model.texture_decoder, texture_latent(*model.texture_encoder, grid), grid);
       }},
      {"generated",
       [&](size_t i) -> Result<at::Tensor> {
         ESP_ASSIGN(const at::Tensor latent, generated_texture(*flow, model.base, params, judged.shapes[i],
                                                               tokens.narrow(0, row(i), 1), /*seed=*/i));
         return decoded_texture(*model.texture_decoder, latent, judged.textures[i]);
       }},
      {"training_mean", [&](size_t) -> Result<at::Tensor> { return training; }},
      {"picture_mean", [&](size_t i) -> Result<at::Tensor> { return picture_mean(judged.pictures[row(i)], training); }},
      {"own_mean", [&](size_t i) -> Result<at::Tensor> { return mean_attributes(judged.textures[i]); }},
  };
  nlohmann::json result{{"tier", kTiers[index].number}};
  for (const auto& [name, answer] : answers) {
    ESP_ASSIGN(result[name], judgement(judged, answer));
  }
  return result;
}

}  // namespace

Status report_textures(const Recipe& recipe) {
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(const TextureModel model, load_texture_model(recipe.base));
  ESP_ASSIGN(const at::Tensor training, training_mean(recipe));
  nlohmann::json report{{"objects", kJudgedObjects}, {"tiers", nlohmann::json::array()}};
  for (size_t index = 0; index < kTiers.size(); ++index) {
    ESP_ASSIGN(report["tiers"].emplace_back(), judge_tier(recipe, index, model, training));
  }
  std::fputs((report.dump(2) + "\n").c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace espalier::nano
