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

namespace espalier::nano {
namespace {

constexpr const LatentKind* kKinds[] = {&kShape, &kTexture};

std::filesystem::path normalization_file(const std::filesystem::path& work, const LatentKind& kind) {
  return work / absl::StrCat(kind.name, "-normalization.json");
}

nlohmann::json as_json(const nn::LatentNormalization& normalization) {
  return {{"mean", normalization.mean}, {"std", normalization.std}};
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

nlohmann::json pipeline(const nn::LatentNormalization& shape, const nn::LatentNormalization& texture) {
  nlohmann::json models = {{"sparse_structure_flow_model", kSsFlowStem}, {"sparse_structure_decoder", kSsDecoderStem}};
  for (const LatentKind* kind : kKinds) {
    models[kind->decoder.key] = kind->decoder.stem;
    for (const ModelFile& flow : kind->flows) models[flow.key] = flow.stem;
  }
  return {{"name", "Trellis2ImageTo3DPipeline"},
          {"args",
           {{"models", models},
            {"sparse_structure_sampler", sampler(default_sampler())},
            {"shape_slat_sampler", sampler(default_latent_sampler())},
            {"shape_slat_normalization", as_json(shape)},
            {"tex_slat_sampler", sampler(default_latent_sampler())},
            {"tex_slat_normalization", as_json(texture)},
            {"image_cond_model", {{"name", "DinoV3FeatureExtractor"}, {"args", {{"model_name", kImageEncoderFolder}}}}},
            {"default_pipeline_type", "512"}}}};
}

// All files that make up the base, relative to its folder.
std::vector<std::string> base_files() {
  std::vector<std::string> files{"pipeline.json"};
  for (const char* name : {"config.json", "model.safetensors"}) {
    files.push_back(absl::StrCat(kImageEncoderFolder, "/", name));
  }
  std::vector<std::string> stems{kSsEncoderStem, kSsDecoderStem, kSsFlowStem};
  for (const LatentKind* kind : kKinds) {
    stems.insert(stems.end(), {kind->encoder.stem, kind->decoder.stem});
    for (const ModelFile& flow : kind->flows) stems.push_back(flow.stem);
  }
  for (const std::string& stem : stems) files.insert(files.end(), {stem + ".json", stem + ".safetensors"});
  return files;
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

infer::SamplerParams default_latent_sampler() {
  infer::SamplerParams params = default_sampler();
  params.guidance_strength = 3;
  params.rescale_t = 3;
  return params;
}

Status write_normalization(const std::filesystem::path& work, const LatentKind& kind,
                           const nn::LatentNormalization& normalization) {
  return write_file_atomic(normalization_file(work, kind), as_json(normalization).dump(2) + "\n");
}

Result<nn::LatentNormalization> read_normalization(const std::filesystem::path& work, const LatentKind& kind) {
  const std::filesystem::path file = normalization_file(work, kind);
  ESP_ASSIGN(const std::string text, read_file(file));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  nn::LatentNormalization normalization;
  try {
    json.at("mean").get_to(normalization.mean);
    json.at("std").get_to(normalization.std);
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(absl::StrCat(file.string(), ": ", error.what(), "; train the denoisers again"));
  }
  return normalization;
}

Status write_manifest(const Recipe& recipe) {
  ESP_ASSIGN(const auto shape, read_normalization(recipe.work, kShape));
  ESP_ASSIGN(const auto texture, read_normalization(recipe.work, kTexture));
  ESP_TRY(write_file_atomic(recipe.base / "pipeline.json", pipeline(shape, texture).dump(2) + "\n"));
  nlohmann::json encoders = {{"sparse_structure_encoder", kSsEncoderStem}};
  for (const LatentKind* kind : kKinds) encoders[kind->encoder.key] = kind->encoder.stem;
  nlohmann::json digests = nlohmann::json::object();
  for (const std::string& file : base_files()) {
    ESP_ASSIGN(digests[file], sha256_hex_of_file(recipe.base / file));
  }
  const nlohmann::json manifest = {{"name", "nano"},
                                   {"licence", "Apache-2.0"},
                                   {"grid_scale", kGridScale},
                                   {"tiers", {512, 1024}},
                                   {"recommended_learning_rate", 2e-3},
                                   {"image_encoder", kImageEncoderFolder},
                                   {"models", encoders},
                                   {"sha256", digests}};
  return write_file_atomic(recipe.base / "espalier.json", manifest.dump(2) + "\n");
}

}  // namespace espalier::nano
