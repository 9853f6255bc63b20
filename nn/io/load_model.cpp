#include "nn/io/load_model.h"

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "nn/io/safetensors.h"

namespace espalier::nn {
namespace {

constexpr uint64_t kLargestConfig = 4u << 20;

Result<nlohmann::json> read_model_json(const std::filesystem::path& path) {
  ESP_ASSIGN(const std::string text, read_file(path, kLargestConfig));
  auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return absl::InvalidArgumentError(path.string() + ": not a JSON object");
  return value;
}

Result<TensorMap> read_weights(const std::filesystem::path& path, c10::Device device) {
  ESP_ASSIGN(const auto file, SafetensorsFile::open(path));
  ESP_ASSIGN(auto tensors, file.tensors());
  if (!device.is_cpu()) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(device);
  }
  return tensors;
}

// Reads a model's class and arguments, lets `Config` parse them, and builds the network with its weights.
template <class Network, class Config>
Result<std::unique_ptr<Network>> load(const BaseModel& base, const std::string& key,
                                      const std::set<std::string>& classes, const LoadOptions& options) {
  ESP_ASSIGN(const ModelFiles files, base.model_files(key));
  const auto build = [&]() -> Result<std::unique_ptr<Network>> {
    ESP_ASSIGN(const auto model, read_model_json(files.config));
    const auto name = model.find("name");
    if (name == model.end() || !name->is_string() || !classes.count(name->template get<std::string>())) {
      return absl::InvalidArgumentError(absl::StrCat("name must be ", absl::StrJoin(classes, " or ")));
    }
    ESP_ASSIGN(Config config, Config::parse(model.value("args", nlohmann::json::object())));
    if (options.dtype) config.dtype = *options.dtype;
    ESP_ASSIGN(const auto weights, read_weights(files.weights, options.device));
    return Network::create(config, weights);
  };
  auto network = build();
  if (!network.ok()) return annotate(network.status(), absl::StrCat(key, " (", files.config.string(), ")"));
  return network;
}

}  // namespace

Result<std::unique_ptr<SparseStructureFlow>> load_ss_flow(const BaseModel& base, const LoadOptions& options) {
  return load<SparseStructureFlow, FlowConfig>(base, "sparse_structure_flow_model", {"SparseStructureFlowModel"},
                                               options);
}

Result<std::unique_ptr<SLatFlow>> load_slat_flow(const BaseModel& base, const std::string& key,
                                                 const LoadOptions& options) {
  return load<SLatFlow, FlowConfig>(base, key, {"SLatFlowModel", "ElasticSLatFlowModel"}, options);
}

Result<std::unique_ptr<SparseStructureEncoder>> load_ss_encoder(const BaseModel& base, const LoadOptions& options) {
  return load<SparseStructureEncoder, SsVaeConfig>(base, "sparse_structure_encoder", {"SparseStructureEncoder"},
                                                   options);
}

Result<std::unique_ptr<SparseStructureDecoder>> load_ss_decoder(const BaseModel& base, const LoadOptions& options) {
  return load<SparseStructureDecoder, SsVaeConfig>(base, "sparse_structure_decoder", {"SparseStructureDecoder"},
                                                   options);
}

Result<std::unique_ptr<ScVaeEncoder>> load_sc_encoder(const BaseModel& base, const std::string& key,
                                                      const LoadOptions& options) {
  return load<ScVaeEncoder, ScVaeConfig>(base, key, {"SparseUnetVaeEncoder", "FlexiDualGridVaeEncoder"}, options);
}

Result<std::unique_ptr<ScVaeDecoder>> load_sc_decoder(const BaseModel& base, const std::string& key,
                                                      const LoadOptions& options) {
  return load<ScVaeDecoder, ScVaeConfig>(base, key, {"SparseUnetVaeDecoder", "FlexiDualGridVaeDecoder"}, options);
}

Result<std::unique_ptr<DinoV3>> load_image_encoder(const BaseModel& base, const LoadOptions& options) {
  ESP_ASSIGN(const auto folder, base.image_encoder_folder());
  ESP_ASSIGN(const auto object, read_model_json(folder / "config.json"));
  ESP_ASSIGN(const auto config, DinoV3Config::parse(object));
  ESP_ASSIGN(const auto weights, read_weights(folder / "model.safetensors", options.device));
  return DinoV3::create(config, weights);
}

}  // namespace espalier::nn
