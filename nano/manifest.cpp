#include "nano/manifest.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/sha256.h"
#include "nano/architecture.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/shape_tiers.h"

namespace espalier::nano {
namespace {

std::filesystem::path normalization_file(const std::filesystem::path& work) {
  return work / "shape-normalization.json";
}

nlohmann::json sampler(const infer::SamplerParams& s) {
  return {{"name", "FlowEulerGuidanceIntervalSampler"},
          {"args", {{"sigma_min", s.sigma_min}}},
          {"params",
           {{"steps", s.steps},
            {"guidance_strength", s.guidance_strength},
            {"guidance_rescale", s.guidance_rescale},
            {"guidance_interval", {s.interval_start, s.interval_end}},
            {"rescale_t", s.rescale_t}}}};
}

nlohmann::json pipeline(const nlohmann::json& shape_normalization) {
  nlohmann::json models = {{"sparse_structure_flow_model", kSsFlowStem},
                           {"sparse_structure_decoder", kSsDecoderStem},
                           {"shape_slat_decoder", kShapeDecoderStem}};
  for (const ShapeTier& tier : kShapeTiers) models[tier.model_key] = tier.stem;
  return {{"name", "Trellis2ImageTo3DPipeline"},
          {"args",
           {{"models", models},
            {"sparse_structure_sampler", sampler(default_sampler())},
            {"shape_slat_sampler", sampler(default_shape_sampler())},
            {"shape_slat_normalization", shape_normalization},
            {"image_cond_model", {{"name", "DinoV3FeatureExtractor"}, {"args", {{"model_name", kImageEncoderFolder}}}}},
            {"default_pipeline_type", "512"}}}};
}

}  // namespace

infer::SamplerParams default_sampler() {
  infer::SamplerParams params;
  params.steps = 12;
  params.guidance_strength = 7.5;
  params.guidance_rescale = 0.5;
  params.interval_start = 0.6;
  params.interval_end = 1;
  params.rescale_t = 5;
  return params;
}

infer::SamplerParams default_shape_sampler() {
  infer::SamplerParams params = default_sampler();
  params.guidance_strength = 3;
  params.rescale_t = 3;
  return params;
}

Status write_normalization(const std::filesystem::path& work, const nn::LatentNormalization& normalization) {
  const nlohmann::json json = {{"mean", normalization.mean}, {"std", normalization.std}};
  return write_file_atomic(normalization_file(work), json.dump(2) + "\n");
}

Status write_manifest(const Recipe& recipe) {
  ESP_ASSIGN(const std::string text, read_file(normalization_file(recipe.work)));
  const nlohmann::json normalization = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  ESP_TRY(write_file_atomic(recipe.base / "pipeline.json", pipeline(normalization).dump(2) + "\n"));
  std::vector<std::string> files{"pipeline.json"};
  for (const char* name : {"config.json", "model.safetensors"}) {
    files.push_back(absl::StrCat(kImageEncoderFolder, "/", name));
  }
  for (const char* stem : {kSsEncoderStem, kSsDecoderStem, kSsFlowStem, kShapeEncoderStem, kShapeDecoderStem,
                           kShapeFlow512Stem, kShapeFlow1024Stem}) {
    for (const char* extension : {".json", ".safetensors"}) files.push_back(absl::StrCat(stem, extension));
  }
  nlohmann::json digests = nlohmann::json::object();
  for (const std::string& file : files) {
    ESP_ASSIGN(digests[file], sha256_hex_of_file(recipe.base / file));
  }
  const nlohmann::json manifest = {
      {"name", "nano"},
      {"licence", "Apache-2.0"},
      {"grid_scale", kGridScale},
      {"tiers", {512, 1024}},
      {"recommended_learning_rate", 2e-3},
      {"image_encoder", kImageEncoderFolder},
      {"models", {{"sparse_structure_encoder", kSsEncoderStem}, {"shape_slat_encoder", kShapeEncoderStem}}},
      {"sha256", digests}};
  return write_file_atomic(recipe.base / "espalier.json", manifest.dump(2) + "\n");
}

}  // namespace espalier::nano
