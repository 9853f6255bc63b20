#include "nn/io/base_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "common/sha256.h"
#include "nn/io/json_args.h"

namespace espalier::nn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kLargestJson = 4u << 20;
constexpr size_t kMostChannels = 4096;

Result<json> read_json(const fs::path& path) {
  ESP_ASSIGN(const std::string text, read_file(path, kLargestJson));
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return absl::InvalidArgumentError(path.string() + ": not a JSON object");
  return value;
}

const json& child(const json& object, const char* field) {
  static const json kEmpty = json::object();
  const auto found = object.find(field);
  return found == object.end() || !found->is_object() ? kEmpty : *found;
}

Status read_sampler(const json& args, const char* field, SamplerDefaults& sampler) {
  const json& object = child(args, field);
  JsonArgs outer(object, absl::StrCat("pipeline.json: ", field));
  outer.text("name", sampler.name);
  ESP_TRY(outer.status(false));
  JsonArgs constructor(child(object, "args"), absl::StrCat("pipeline.json: ", field, ".args"));
  constructor.number("sigma_min", sampler.sigma_min, 0, 0.5);
  ESP_TRY(constructor.status(false));
  const json& params = child(object, "params");
  JsonArgs reader(params, absl::StrCat("pipeline.json: ", field, ".params"));
  int64_t steps = sampler.steps;
  reader.integer("steps", steps, 1, 1000);
  sampler.steps = static_cast<int>(steps);
  reader.number("guidance_strength", sampler.guidance_strength, 0, 100);
  reader.number("guidance_rescale", sampler.guidance_rescale, 0, 1);
  reader.number("rescale_t", sampler.rescale_t, 0.01, 100);
  if (reader.has("guidance_interval")) {
    const json& interval = params["guidance_interval"];
    if (!interval.is_array() || interval.size() != 2 || !interval[0].is_number() || !interval[1].is_number()) {
      reader.fault("guidance_interval", "must be two numbers");
    } else {
      sampler.guidance_interval = {interval[0].get<double>(), interval[1].get<double>()};
    }
  }
  return reader.status(false);
}

bool read_numbers(const json& object, const char* field, std::vector<double>& values) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_array() || found->empty() || found->size() > kMostChannels) return false;
  for (const auto& item : *found) {
    if (!item.is_number()) return false;
    values.push_back(item.get<double>());
  }
  return true;
}

Status read_normalization(const json& args, const char* field, LatentNormalization& normalization) {
  const json& object = child(args, field);
  if (object.empty()) return absl::OkStatus();  // a base may end after the sparse structure
  const bool read = read_numbers(object, "mean", normalization.mean) && read_numbers(object, "std", normalization.std);
  const bool positive = std::all_of(normalization.std.begin(), normalization.std.end(), [](double s) { return s > 0; });
  if (read && positive && normalization.mean.size() == normalization.std.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("pipeline.json: ", field, " must have mean and std, as many numbers each, std > 0"));
}

Status read_texts(const json& object, const std::string& where, std::map<std::string, std::string>& texts) {
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) return absl::InvalidArgumentError(absl::StrCat(where, ".", key, " must be a text"));
    texts[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

// A path written in a base's files stays below the folder that holds the base: no absolute path and no "..".
bool is_plain_path(const std::string& text) {
  const fs::path path(text);
  if (text.empty() || path.is_absolute()) return false;
  return std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

std::vector<fs::path> candidates(const fs::path& folder, const std::string& value) {
  return {folder / value, folder.parent_path() / value};
}

void read_tiers(JsonArgs& reader, std::vector<int>& tiers) {
  if (!reader.has("tiers")) return;
  std::vector<int64_t> values;
  reader.integers("tiers", values, 512, 1024, 2);
  if (std::any_of(values.begin(), values.end(), [](int64_t tier) { return tier != 512 && tier != 1024; })) {
    reader.fault("tiers", "must hold 512, 1024 or both");
  }
  tiers.assign(values.begin(), values.end());
}

}  // namespace

// Fills a BaseModel from its two JSON files.
struct BaseModelReader {
  BaseModel& base;

  Status read_pipeline(const json& pipeline) {
    const json& args = child(pipeline, "args");
    ESP_TRY(read_texts(child(args, "models"), "pipeline.json: args.models", base.models_));
    if (base.models_.empty()) return absl::InvalidArgumentError("pipeline.json: args.models is required");
    ESP_TRY(read_sampler(args, "sparse_structure_sampler", base.ss_sampler_));
    ESP_TRY(read_sampler(args, "shape_slat_sampler", base.shape_sampler_));
    ESP_TRY(read_sampler(args, "tex_slat_sampler", base.tex_sampler_));
    ESP_TRY(read_normalization(args, "shape_slat_normalization", base.shape_normalization_));
    ESP_TRY(read_normalization(args, "tex_slat_normalization", base.tex_normalization_));
    base.default_pipeline_type_ = "1024_cascade";
    JsonArgs reader(args, "pipeline.json: args");
    reader.text("default_pipeline_type", base.default_pipeline_type_);
    ESP_TRY(reader.status(false));
    const json& encoder = child(args, "image_cond_model");
    JsonArgs name(encoder, "pipeline.json: image_cond_model");
    name.text("name", base.image_encoder_class_, {"DinoV3FeatureExtractor"});
    ESP_TRY(name.status(false));
    JsonArgs model(child(encoder, "args"), "pipeline.json: image_cond_model.args");
    model.text("model_name", base.image_encoder_);
    return model.status(false);
  }

  Status read_espalier(const json& object) {
    JsonArgs reader(object, "espalier.json");
    reader.text("name", base.name_);
    reader.text("licence", base.licence_);
    reader.number("grid_scale", base.grid_scale_, 1.0 / 64, 1);
    read_tiers(reader, base.tiers_);
    double rate = 0;
    reader.number("recommended_learning_rate", rate, 0, 1);
    if (rate > 0) base.recommended_learning_rate_ = rate;
    reader.text("image_encoder", base.image_encoder_);
    ESP_TRY(reader.status(false));
    ESP_TRY(read_texts(child(object, "models"), "espalier.json: models", base.models_));
    return read_texts(child(object, "sha256"), "espalier.json: sha256", base.sha256_);
  }

  Status check_paths() const {
    for (const auto& [key, stem] : base.models_) {
      if (!is_plain_path(stem)) return absl::InvalidArgumentError(absl::StrCat("model ", key, ": bad path ", stem));
    }
    for (const auto& [file, digest] : base.sha256_) {
      if (!is_plain_path(file))
        return absl::InvalidArgumentError(absl::StrCat("espalier.json: sha256: bad path ", file));
    }
    if (!base.image_encoder_.empty() && !is_plain_path(base.image_encoder_)) {
      return absl::InvalidArgumentError(absl::StrCat("image encoder: bad path ", base.image_encoder_));
    }
    return absl::OkStatus();
  }
};

Result<BaseModel> BaseModel::open(const fs::path& folder) {
  BaseModel base;
  std::error_code error;
  base.folder_ = fs::canonical(folder, error);
  if (error) return absl::NotFoundError(absl::StrCat("base model ", folder.string(), ": ", error.message()));
  base.name_ = base.folder_.filename().string();
  base.tiers_ = {512, 1024};
  BaseModelReader reader{base};
  const auto read = [&]() -> Status {
    ESP_ASSIGN(const json pipeline, read_json(base.folder_ / "pipeline.json"));
    ESP_TRY(reader.read_pipeline(pipeline));
    if (fs::exists(base.folder_ / "espalier.json")) {
      ESP_ASSIGN(const json own, read_json(base.folder_ / "espalier.json"));
      ESP_TRY(reader.read_espalier(own));
    }
    return reader.check_paths();
  };
  ESP_TRY(annotate(read(), absl::StrCat("base model ", base.folder_.string())));
  return base;
}

std::vector<std::string> BaseModel::model_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, stem] : models_) keys.push_back(key);
  return keys;
}

Result<ModelFiles> BaseModel::model_files(const std::string& key) const {
  const auto found = models_.find(key);
  if (found == models_.end()) return absl::NotFoundError(absl::StrCat("base model ", name_, " has no ", key));
  std::vector<std::string> tried;
  for (const auto& stem : candidates(folder_, found->second)) {
    ModelFiles files{stem.string() + ".json", stem.string() + ".safetensors"};
    if (fs::exists(files.config) && fs::exists(files.weights)) return files;
    tried.push_back(stem.string());
  }
  return absl::NotFoundError(absl::StrCat(key, ": no .json and .safetensors at ", absl::StrJoin(tried, " or ")));
}

Result<fs::path> BaseModel::image_encoder_folder() const {
  if (image_encoder_.empty()) return absl::NotFoundError(absl::StrCat("base model ", name_, " has no image encoder"));
  std::vector<std::string> tried;
  for (const auto& path : candidates(folder_, image_encoder_)) {
    if (fs::exists(path / "config.json") && fs::exists(path / "model.safetensors")) return path;
    tried.push_back(path.string());
  }
  return absl::NotFoundError(
      absl::StrCat("image encoder: no config.json and model.safetensors in ", absl::StrJoin(tried, " or ")));
}

Status BaseModel::verify_checksums() const {
  for (const auto& [file, expected] : sha256_) {
    ESP_ASSIGN(const std::string digest, sha256_hex_of_file(folder_ / file));
    if (!absl::EqualsIgnoreCase(digest, expected)) {
      return absl::DataLossError(
          absl::StrCat((folder_ / file).string(), ": sha256 is ", digest, " instead of ", expected));
    }
  }
  return absl::OkStatus();
}

}  // namespace espalier::nn
