#include "nano/model_files.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "nn/io/safetensors.h"

namespace espalier::nano {

Status save_model(const std::filesystem::path& config_path, const nlohmann::json& config,
                  const std::filesystem::path& weights_path, const nn::TensorMap& parameters) {
  std::error_code error;
  std::filesystem::create_directories(weights_path.parent_path(), error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", weights_path.parent_path().string()));
  nn::TensorMap rounded;
  for (const auto& [name, tensor] : parameters) rounded[name] = tensor.detach().to(at::kHalf);
  ESP_TRY(write_file_atomic(config_path, config.dump(2) + "\n"));
  return nn::write_safetensors(weights_path, rounded);
}

Status save_checkpoint(const std::filesystem::path& base, std::string_view stem, const nlohmann::json& config,
                       const nn::TensorMap& parameters) {
  return save_model(base / absl::StrCat(std::string(stem), ".json"), config,
                    base / absl::StrCat(std::string(stem), ".safetensors"), parameters);
}

Result<nn::TensorMap> load_checkpoint(const std::filesystem::path& base, std::string_view stem) {
  return load_weights(base / absl::StrCat(std::string(stem), ".safetensors"));
}

Result<nn::TensorMap> load_weights(const std::filesystem::path& path) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(path));
  ESP_ASSIGN(const nn::TensorMap views, file.tensors());
  nn::TensorMap own;
  for (const auto& [name, tensor] : views) own[name] = tensor.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  return own;
}

nn::TensorMap without_prefix(const nn::TensorMap& tensors, const std::string& prefix) {
  nn::TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    if (name.rfind(prefix, 0) == 0) result[name.substr(prefix.size())] = tensor;
  }
  return result;
}

void add_with_prefix(nn::TensorMap& to, const nn::TensorMap& tensors, const std::string& prefix) {
  for (const auto& [name, tensor] : tensors) to[prefix + name] = tensor;
}

}  // namespace espalier::nano
