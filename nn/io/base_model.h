#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::nn {

// One of the pipeline's samplers, as its pipeline.json says.
struct SamplerDefaults {
  std::string name;  // FlowEulerGuidanceIntervalSampler
  double sigma_min = 1e-5;
  int steps = 12;
  double guidance_strength = 1;
  double guidance_rescale = 0;
  std::array<double, 2> guidance_interval{0, 1};
  double rescale_t = 1;
};

// Per-channel statistics of a structured latent: network space = (raw - mean) / std.
struct LatentNormalization {
  std::vector<double> mean, std;
};

// The two files of one network.
struct ModelFiles {
  std::filesystem::path config;   // {"name": class, "args": {...}}
  std::filesystem::path weights;  // safetensors
};

// A base model: a folder with `pipeline.json` in the layout of the TRELLIS.2 release, and `espalier.json`.
//
// espalier.json: {"name", "licence", "grid_scale" (0 < s <= 1, default 1), "tiers" ([512, 1024]),
//   "recommended_learning_rate" (optional), "image_encoder" (folder, optional; default: image_cond_model's model_name),
//   "models" (further model keys: sparse_structure_encoder, shape_slat_encoder, tex_slat_encoder), "sha256" ({file:
//   hex})}.
// Without espalier.json the folder is taken for the official release: name = folder name, grid_scale 1, both tiers.
// Torch-free. Immutable after open; thread-safe.
class BaseModel {
 public:
  // NOT_FOUND or INVALID_ARGUMENT naming the file and field. Network files are looked up on demand.
  static Result<BaseModel> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& name() const { return name_; }
  const std::string& licence() const { return licence_; }
  // Tier 512 means 512 * grid_scale voxels per side; latent grid, occupancy grid and images shrink alike.
  double grid_scale() const { return grid_scale_; }
  const std::vector<int>& tiers() const { return tiers_; }
  std::optional<double> recommended_learning_rate() const { return recommended_learning_rate_; }
  const std::string& default_pipeline_type() const { return default_pipeline_type_; }

  const SamplerDefaults& sparse_structure_sampler() const { return ss_sampler_; }
  const SamplerDefaults& shape_slat_sampler() const { return shape_sampler_; }
  const SamplerDefaults& tex_slat_sampler() const { return tex_sampler_; }
  const LatentNormalization& shape_slat_normalization() const { return shape_normalization_; }
  const LatentNormalization& tex_slat_normalization() const { return tex_normalization_; }

  std::vector<std::string> model_keys() const;
  bool has_model(const std::string& key) const { return models_.count(key) > 0; }
  // Files of a model key, e.g. "sparse_structure_flow_model". Tries <base>/<stem>, then <base>/../<stem> (a stem that
  // names another repository lies beside this one). NOT_FOUND lists what was tried.
  Result<ModelFiles> model_files(const std::string& key) const;
  // Folder of the image encoder with config.json and model.safetensors, searched the same way.
  Result<std::filesystem::path> image_encoder_folder() const;
  // "DinoV3FeatureExtractor".
  const std::string& image_encoder_class() const { return image_encoder_class_; }

  // Hashes every file listed in espalier.json. DATA_LOSS names the first that differs; reads every byte.
  Status verify_checksums() const;

 private:
  BaseModel() = default;
  friend struct BaseModelReader;

  std::filesystem::path folder_;
  std::string name_, licence_, default_pipeline_type_, image_encoder_class_, image_encoder_;
  double grid_scale_ = 1;
  std::vector<int> tiers_;
  std::optional<double> recommended_learning_rate_;
  SamplerDefaults ss_sampler_, shape_sampler_, tex_sampler_;
  LatentNormalization shape_normalization_, tex_normalization_;
  std::map<std::string, std::string> models_;  // key -> stem
  std::map<std::string, std::string> sha256_;  // file relative to the folder -> digest
};

}  // namespace espalier::nn
