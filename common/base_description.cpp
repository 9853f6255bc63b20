#include "common/base_description.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace espalier {
namespace {

using nlohmann::json;

Result<json> read_object(const std::filesystem::path& file) {
  ESP_ASSIGN(const auto text, read_file(file, 1 << 20));
  auto object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError(absl::StrCat(file.string(), ": not a JSON object"));
  return object;
}

std::vector<Denoiser> trainable(const json& pipeline) {
  constexpr std::pair<Denoiser, const char*> kNetworks[] = {
      {Denoiser::kSparseStructure, "sparse_structure_flow_model"},
      {Denoiser::kGeometry, "shape_slat_flow_model_512"},
      {Denoiser::kGeometry, "shape_slat_flow_model_1024"},
      {Denoiser::kTexture, "tex_slat_flow_model_512"},
      {Denoiser::kTexture, "tex_slat_flow_model_1024"},
  };
  const auto models = "/args/models"_json_pointer;
  std::vector<Denoiser> denoisers;
  if (!pipeline.contains(models) || !pipeline[models].is_object()) return denoisers;
  for (const auto& [denoiser, key] : kNetworks) {
    if (!pipeline[models].contains(key)) continue;
    if (denoisers.empty() || denoisers.back() != denoiser) denoisers.push_back(denoiser);
  }
  return denoisers;
}

}  // namespace

double default_learning_rate(std::optional<double> recommended) {
  return recommended.value_or(0) > 0 ? std::clamp(*recommended, 1e-6, 1e-2) : 1e-4;
}

Result<BaseDescription> describe_base(const std::filesystem::path& folder) {
  ESP_ASSIGN(const auto about, read_object(folder / "espalier.json"));
  ESP_ASSIGN(const auto pipeline, read_object(folder / "pipeline.json"));
  BaseDescription base;
  if (const auto name = about.find("name"); name != about.end() && name->is_string()) base.name = *name;
  if (base.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat((folder / "espalier.json").string(), ": has no name"));
  }
  base.denoisers = trainable(pipeline);
  for (const auto& tier : about.value("tiers", json::array())) {
    if (tier.is_number_integer()) base.resolutions.push_back(tier);
  }
  if (const auto rate = about.find("recommended_learning_rate"); rate != about.end() && rate->is_number()) {
    base.recommended_learning_rate = *rate;
  }
  return base;
}

}  // namespace espalier
