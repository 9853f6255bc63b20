#include "train/networks.h"

#include <torch/types.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "nn/io/load_model.h"

namespace espalier::train {
namespace {

Result<std::unique_ptr<Denoiser>> load_denoiser(const nn::BaseModel& base, LatentKind kind, const std::string& key,
                                                const nn::LoadOptions& options) {
  if (kind == LatentKind::kStructure) {
    ESP_ASSIGN(auto flow, nn::load_ss_flow(base, options));
    return make_denoiser(std::move(flow));
  }
  ESP_ASSIGN(auto flow, nn::load_slat_flow(base, key, options));
  return make_denoiser(std::move(flow));
}

}  // namespace

Result<Networks> load_networks(const nn::BaseModel& base, const Stage& stage, const TrainConfig& config,
                               c10::Device device) {
  const std::string key(stage.model_key[tier_index(config.resolution)]);
  ESP_ASSIGN(const auto files, base.model_files(key));
  Networks networks;
  networks.model_name = files.weights.stem().string();
  ESP_ASSIGN(networks.model_sha256, sha256_hex_of_file(files.weights));
  nn::LoadOptions options;
  options.dtype = config.precision == "bf16" ? at::kBFloat16 : at::kFloat;
  options.device = device;
  ESP_ASSIGN(networks.denoiser, load_denoiser(base, stage.latent, key, options));
  nn::LoadOptions encoder_options;
  encoder_options.device = device;
  ESP_ASSIGN(networks.encoder, nn::load_image_encoder(base, encoder_options));
  return networks;
}

LatentForm latent_form(const nn::BaseModel& base, const Stage& stage, int resolution, const nn::FlowConfig& denoiser) {
  LatentForm form{.kind = stage.latent, .channels = denoiser.in_channels, .grid = denoiser.resolution};
  if (stage.latent == LatentKind::kStructure) return form;
  form.grid = std::lround(resolution * base.grid_scale() / dataset::kVoxelsPerCell);
  form.normalization = base.shape_slat_normalization();
  if (stage.latent == LatentKind::kShape) return form;
  form.shape_channels = denoiser.in_channels - denoiser.out_channels;
  form.shape_normalization = std::move(form.normalization);
  form.channels = denoiser.out_channels;
  form.normalization = base.tex_slat_normalization();
  return form;
}

Status check_encoders(const dataset::Manifest& manifest, const nn::BaseModel& base, const Stage& stage) {
  for (const EncoderNames& names : stage.encoders) {
    const std::string key(names.key);
    const auto made_by = manifest.encoders.find(std::string(names.dataset));
    if (made_by == manifest.encoders.end() || made_by->second.sha256.empty() || !base.has_model(key)) continue;
    ESP_ASSIGN(const auto files, base.model_files(key));
    ESP_ASSIGN(const auto ours, sha256_hex_of_file(files.weights));
    if (ours != made_by->second.sha256) {
      return absl::InvalidArgumentError(absl::StrCat("dataset: its latents were made by another encoder (",
                                                     made_by->second.name, ") than this base model's"));
    }
  }
  return absl::OkStatus();
}

}  // namespace espalier::train
