#include "nn/lora/adapter_file.h"

#include <torch/types.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/sha256.h"
#include "nn/io/safetensors.h"
#include "nn/layers/linear.h"

namespace espalier::nn {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kPeftPrefix = "base_model.model.";
constexpr double kLargestWeight = 1e4;
constexpr uint64_t kLargestFile = uint64_t{4} << 30;
constexpr int64_t kLargestRank = 1024;

// --- writing -------------------------------------------------------------------------------------------------------

at::ScalarType torch_type(SaveDtype dtype) {
  switch (dtype) {
    case SaveDtype::kFloat32:
      return torch::kFloat32;
    case SaveDtype::kFloat16:
      return torch::kFloat16;
    case SaveDtype::kBFloat16:
      break;
  }
  return torch::kBFloat16;
}

Result<TensorMap> rounded_tensors(const LoraAdapter& adapter, SaveDtype dtype) {
  TensorMap tensors;
  for (const auto& [name, tensor] : adapter.named_tensors()) {
    auto value = tensor.detach().to(torch::kCPU, torch_type(dtype)).contiguous();
    if (!torch::isfinite(value).all().item<bool>()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": has values that are not finite"));
    }
    tensors.emplace(absl::StrCat(std::string(kPeftPrefix), name), value);
  }
  return tensors;
}

std::string weights_sha256(const TensorMap& tensors) {
  Sha256 digest;
  for (const auto& [name, tensor] : tensors) {
    digest.update(name);
    digest.update(std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()));
  }
  return digest.hex_digest();
}

json peft_config(const LoraAdapter& adapter, const AdapterInfo& info) {
  const auto& config = adapter.config;
  return {{"peft_type", "LORA"},
          {"task_type", nullptr},
          {"base_model_name_or_path", info.base_model.empty() ? json(nullptr) : json(info.base_model)},
          {"r", config.rank},
          {"lora_alpha",
           config.alpha == std::floor(config.alpha) ? json(static_cast<int64_t>(config.alpha)) : json(config.alpha)},
          {"lora_dropout", 0.0},
          {"bias", "none"},
          {"target_modules", config.target_suffixes},
          {"use_rslora", config.rank_stabilised},
          {"fan_in_fan_out", false},
          {"init_lora_weights", true},
          {"inference_mode", true}};
}

std::map<std::string, std::string> header_of(const LoraAdapter& adapter, const AdapterInfo& info,
                                             const TensorMap& tensors) {
  const auto& config = adapter.config;
  std::map<std::string, std::string> header = {
      {"format", "pt"},
      {"espalier.version", "1"},
      {"espalier.denoiser", info.denoiser},
      {"espalier.resolution", info.resolution ? absl::StrCat(info.resolution) : ""},
      {"espalier.rank", absl::StrCat(config.rank)},
      {"espalier.alpha", absl::StrCat(config.alpha)},
      {"espalier.use_rslora", config.rank_stabilised ? "true" : "false"},
      {"espalier.target_modules", json(config.target_suffixes).dump()},
      {"espalier.base_model", info.base_model},
      {"espalier.base_sha256", info.base_sha256},
      {"espalier.steps", absl::StrCat(info.steps)},
      {"espalier.learning_rate", absl::StrCat(info.learning_rate)},
      {"espalier.optimizer", info.optimizer},
      {"espalier.seed", absl::StrCat(info.seed)},
      {"espalier.dataset_id", info.dataset_id},
      {"espalier.job_id", info.job_id},
      {"espalier.created_utc", info.created_utc},
      {"espalier.weights_sha256", weights_sha256(tensors)},
      {"lora_adapter_metadata", peft_config(adapter, info).dump()}};
  std::erase_if(header, [](const auto& entry) { return entry.second.empty(); });
  return header;
}

// --- reading -------------------------------------------------------------------------------------------------------

Status bad(std::string_view key, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(key), ": ", std::string(what)));
}

// What the file says of the adapter as a whole; PEFT's config and our header say the same in two ways.
struct Declared {
  std::optional<double> alpha;
  std::optional<int64_t> rank;
  bool rank_stabilised = false;
  std::vector<std::string> suffixes;
  bool complete = false;  // written by us: every matching module must be there
};

Status apply_peft_config(const json& config, Declared& out) {
  if (!config.is_object()) return bad("adapter_config", "not a JSON object");
  for (const char* key : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"}) {
    if (config.contains(key) && config[key] == true) return bad(key, "true (not supported)");
  }
  for (const char* key : {"rank_pattern", "alpha_pattern"}) {
    if (config.contains(key) && config[key].is_object() && !config[key].empty()) return bad(key, "not supported");
  }
  if (config.contains("peft_type") && config["peft_type"] != "LORA") return bad("peft_type", "is not LORA");
  const auto number = [&](const char* key) { return config.contains(key) && config[key].is_number(); };
  if (number("r")) out.rank = config["r"].get<int64_t>();
  if (number("lora_alpha")) out.alpha = config["lora_alpha"].get<double>();
  if (config.contains("use_rslora")) out.rank_stabilised = config["use_rslora"] == true;
  if (config.contains("target_modules") && config["target_modules"].is_array()) {
    for (const auto& suffix : config["target_modules"]) {
      if (!suffix.is_string()) return bad("target_modules", "holds something that is not text");
      out.suffixes.push_back(suffix.get<std::string>());
    }
  }
  return absl::OkStatus();
}

using Header = std::map<std::string, std::string>;

std::string text_of(const Header& header, const char* key) {
  const auto found = header.find(key);
  return found == header.end() ? "" : found->second;
}

template <class T>
Status number_of(const Header& header, const char* key, bool (*parse)(absl::string_view, T*), T& out) {
  const auto text = text_of(header, key);
  if (!text.empty() && !parse(text, &out)) return bad(key, "'" + text + "' is not a number");
  return absl::OkStatus();
}

Result<AdapterInfo> info_of(const Header& header) {
  AdapterInfo info;
  info.denoiser = text_of(header, "espalier.denoiser");
  info.base_model = text_of(header, "espalier.base_model");
  info.base_sha256 = text_of(header, "espalier.base_sha256");
  info.optimizer = text_of(header, "espalier.optimizer");
  info.dataset_id = text_of(header, "espalier.dataset_id");
  info.job_id = text_of(header, "espalier.job_id");
  info.created_utc = text_of(header, "espalier.created_utc");
  ESP_TRY(number_of<int>(header, "espalier.resolution", absl::SimpleAtoi<int>, info.resolution));
  ESP_TRY(number_of<int64_t>(header, "espalier.steps", absl::SimpleAtoi<int64_t>, info.steps));
  ESP_TRY(number_of<double>(header, "espalier.learning_rate", absl::SimpleAtod, info.learning_rate));
  ESP_TRY(number_of<uint64_t>(header, "espalier.seed", absl::SimpleAtoi<uint64_t>, info.seed));
  return info;
}

Result<Declared> declared_in(const Header& header) {
  Declared declared;
  const auto metadata = text_of(header, "lora_adapter_metadata");
  if (!metadata.empty()) {
    const auto config = json::parse(metadata, nullptr, false);
    ESP_TRY(annotate(apply_peft_config(config, declared), "lora_adapter_metadata"));
  }
  const auto version = text_of(header, "espalier.version");
  if (version.empty()) return declared;
  if (version != "1") return bad("espalier.version", "'" + version + "' (this program reads 1)");
  double alpha = 0;
  int64_t rank = 0;
  ESP_TRY(number_of<double>(header, "espalier.alpha", absl::SimpleAtod, alpha));
  ESP_TRY(number_of<int64_t>(header, "espalier.rank", absl::SimpleAtoi<int64_t>, rank));
  if (alpha != 0) declared.alpha = alpha;
  if (rank != 0) declared.rank = rank;
  declared.rank_stabilised = text_of(header, "espalier.use_rslora") == "true";
  declared.complete = !declared.suffixes.empty();
  return declared;
}

Status check_slot(const AdapterInfo& info, const AdapterSlot& slot) {
  if (!slot.denoiser.empty() && !info.denoiser.empty() && info.denoiser != slot.denoiser) {
    return bad("espalier.denoiser",
               absl::StrCat("the adapter is for ", info.denoiser, " (expected ", slot.denoiser, ")"));
  }
  const bool any_resolution = info.denoiser == "sparse_structure";  // one network serves both tiers
  if (slot.resolution && info.resolution && info.resolution != slot.resolution && !any_resolution) {
    return bad("espalier.resolution",
               absl::StrCat("the adapter is for ", info.resolution, " (expected ", slot.resolution, ")"));
  }
  if (!slot.base_sha256.empty() && !info.base_sha256.empty() && info.base_sha256 != slot.base_sha256) {
    return bad("espalier.base_sha256", absl::StrCat("the adapter belongs to another base model (",
                                                    info.base_model.empty() ? info.base_sha256 : info.base_model, ")"));
  }
  return absl::OkStatus();
}

enum class Half { kA, kB, kAlpha, kUnknown };
struct Key {
  std::string module;
  Half half = Half::kUnknown;
};

Key parse_key(std::string_view key) {
  for (std::string_view prefix :
       {kPeftPrefix, std::string_view("transformer."), std::string_view("diffusion_model.")}) {
    if (key.starts_with(prefix)) {
      key.remove_prefix(prefix.size());
      break;
    }
  }
  static const std::vector<std::pair<std::string_view, Half>> kEndings = {{".lora_A.weight", Half::kA},
                                                                          {".lora_B.weight", Half::kB},
                                                                          {".lora_A.default.weight", Half::kA},
                                                                          {".lora_B.default.weight", Half::kB},
                                                                          {".lora_down.weight", Half::kA},
                                                                          {".lora_up.weight", Half::kB},
                                                                          {".alpha", Half::kAlpha},
                                                                          {".lora_down.default.weight", Half::kA},
                                                                          {".lora_up.default.weight", Half::kB}};
  for (const auto& [ending, half] : kEndings) {
    if (key.ends_with(ending)) return {std::string(key.substr(0, key.size() - ending.size())), half};
  }
  return {std::string(key), Half::kUnknown};
}

// The tensors of one module as the file has them, before anything is trusted.
struct RawPair {
  std::string key_a, key_b;
  std::optional<double> alpha;
};

bool floating(const std::string& dtype) { return dtype == "F32" || dtype == "F16" || dtype == "BF16"; }

Result<double> read_alpha(const SafetensorsFile& file, const std::string& name) {
  const auto* entry = file.entry(name);
  int64_t count = 1;
  for (const auto size : entry->shape) count *= size;
  if (!floating(entry->dtype) || count != 1) return bad(name, "is not one floating-point number");
  ESP_ASSIGN(const auto tensor, file.tensor(name));
  const double alpha = tensor.to(torch::kFloat64).item<double>();
  if (!(alpha > 0) || alpha > kLargestWeight) return bad(name, absl::StrCat(alpha, " (allowed: 0..10000]"));
  return alpha;
}

Result<std::map<std::string, RawPair>> sort_keys(const SafetensorsFile& file, const LoraTargets& targets) {
  std::map<std::string, RawPair> pairs;
  for (const auto& name : file.names()) {
    const auto key = parse_key(name);
    if (key.half == Half::kUnknown) return bad(name, "is not a LoRA weight");
    if (!targets.contains(key.module)) return bad(name, "the network has no such module");
    auto& pair = pairs[key.module];
    if (key.half == Half::kAlpha) {
      ESP_ASSIGN(pair.alpha, read_alpha(file, name));
      continue;
    }
    auto& slot = key.half == Half::kA ? pair.key_a : pair.key_b;
    if (!slot.empty()) return bad(name, "the same weight as " + slot);
    slot = name;
  }
  for (const auto& [module, pair] : pairs) {
    if (pair.key_a.empty()) return bad(module, "lora_A is missing");
    if (pair.key_b.empty()) return bad(module, "lora_B is missing");
  }
  if (pairs.empty()) return absl::InvalidArgumentError("the file holds no adapter weights");
  return pairs;
}

// The shape is checked from the header, before the data is touched.
Status check_shape(const SafetensorsFile& file, const std::string& name, int64_t rows, int64_t columns) {
  const auto* entry = file.entry(name);
  if (!floating(entry->dtype)) return bad(name, "type " + entry->dtype + " (allowed: F32, F16, BF16)");
  if (entry->shape != std::vector<int64_t>{rows, columns}) {
    std::string shape;
    for (const auto size : entry->shape) absl::StrAppend(&shape, shape.empty() ? "" : ", ", size);
    return bad(name, absl::StrCat("shape [", shape, "] (expected [", rows, ", ", columns, "])"));
  }
  return absl::OkStatus();
}

Result<at::Tensor> read_weight(const SafetensorsFile& file, const std::string& name) {
  ESP_ASSIGN(const auto stored, file.tensor(name));
  auto value = stored.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  // A NaN fails the comparison too.
  if (!(value.abs().max().item<double>() <= kLargestWeight)) {
    return bad(name, "has values that are not finite or larger than 10000");
  }
  return value;
}

Result<LoraPair> read_pair(const SafetensorsFile& file, const RawPair& raw, const Linear& layer, int64_t rank,
                           const LoraConfig& config) {
  ESP_TRY(check_shape(file, raw.key_a, rank, layer.in_features()));
  ESP_TRY(check_shape(file, raw.key_b, layer.out_features(), rank));
  LoraPair pair;
  ESP_ASSIGN(pair.a, read_weight(file, raw.key_a));
  ESP_ASSIGN(pair.b, read_weight(file, raw.key_b));
  LoraConfig own = config;
  own.rank = rank;
  if (raw.alpha) {
    own.alpha = *raw.alpha;
    own.rank_stabilised = false;
  }
  pair.scaling = own.scaling();
  return pair;
}

Result<int64_t> rank_of(const SafetensorsFile& file, const std::string& key_a) {
  const auto& shape = file.entry(key_a)->shape;
  if (shape.size() != 2) return bad(key_a, "is not a matrix");
  if (shape[0] < 1 || shape[0] > kLargestRank)
    return bad(key_a, absl::StrCat("rank ", shape[0], " (allowed: 1..1024)"));
  return shape[0];
}

Status check_complete(const LoraAdapter& adapter, const LoraTargets& targets) {
  for (const auto& [module, layer] : targets) {
    for (const auto& suffix : adapter.config.target_suffixes) {
      if (matches_suffix(module, suffix) && !adapter.modules.contains(module)) {
        return bad(module, "the adapter's header promises this module, but its weights are missing");
      }
    }
  }
  return absl::OkStatus();
}

Result<LoraAdapter> read_weights(const SafetensorsFile& file, const Declared& declared, const LoraTargets& targets) {
  ESP_ASSIGN(const auto pairs, sort_keys(file, targets));
  LoraAdapter adapter;
  ESP_ASSIGN(const int64_t first_rank, rank_of(file, pairs.begin()->second.key_a));
  adapter.config.rank = declared.rank.value_or(first_rank);
  adapter.config.alpha = declared.alpha.value_or(static_cast<double>(adapter.config.rank));
  adapter.config.rank_stabilised = declared.rank_stabilised;
  adapter.config.target_suffixes = declared.suffixes;
  if (!(adapter.config.alpha > 0) || adapter.config.alpha > kLargestWeight) {
    return bad("alpha", absl::StrCat(adapter.config.alpha, " (allowed: 0..10000]"));
  }
  for (const auto& [module, raw] : pairs) {
    ESP_ASSIGN(const int64_t rank, rank_of(file, raw.key_a));
    if (rank != adapter.config.rank && !raw.alpha) {
      return bad(raw.key_a, absl::StrCat("rank ", rank, " beside rank ", adapter.config.rank,
                                         " (mixed ranks need an alpha for each module)"));
    }
    ESP_ASSIGN(adapter.modules[module], read_pair(file, raw, *targets.at(module), rank, adapter.config));
  }
  if (adapter.config.target_suffixes.empty()) {
    for (const auto& [module, pair] : adapter.modules) adapter.config.target_suffixes.push_back(module);
  }
  if (declared.complete) ESP_TRY(check_complete(adapter, targets));
  return adapter;
}

Result<SafetensorsFile> open_weights(const fs::path& path) {
  SafetensorsLimits limits;
  limits.header_bytes = kAdapterHeaderBytes;
  limits.file_bytes = kLargestFile;
  std::error_code error;
  return SafetensorsFile::open(fs::is_directory(path, error) ? path / "adapter_model.safetensors" : path, limits);
}

}  // namespace

Result<SaveDtype> parse_save_dtype(std::string_view text) {
  if (text == "bf16") return SaveDtype::kBFloat16;
  if (text == "fp32") return SaveDtype::kFloat32;
  if (text == "fp16") return SaveDtype::kFloat16;
  return bad("save_dtype", absl::StrCat("'", std::string(text), "' (allowed: bf16, fp32, fp16)"));
}

Status write_adapter(const fs::path& path, const LoraAdapter& adapter, const AdapterInfo& info, SaveDtype dtype) {
  ESP_ASSIGN(const auto tensors, rounded_tensors(adapter, dtype));
  return write_safetensors(path, tensors, header_of(adapter, info, tensors));
}

Status write_peft_folder(const fs::path& folder, const LoraAdapter& adapter, const AdapterInfo& info, SaveDtype dtype) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(folder.string(), ": ", error.message()));
  ESP_TRY(write_adapter(folder / "adapter_model.safetensors", adapter, info, dtype));
  return write_file_atomic(folder / "adapter_config.json", peft_config(adapter, info).dump(2) + "\n");
}

Result<AdapterFile> read_adapter(const fs::path& path, const LoraTargets& targets, const AdapterSlot& slot) {
  ESP_ASSIGN(const auto file, open_weights(path));
  AdapterFile result;
  ESP_ASSIGN(result.info, info_of(file.metadata()));
  ESP_TRY(check_slot(result.info, slot));
  ESP_ASSIGN(auto declared, declared_in(file.metadata()));
  std::error_code error;
  if (fs::is_directory(path, error) && !declared.complete) {
    ESP_ASSIGN(const auto text, read_file(path / "adapter_config.json", 1 << 20));
    ESP_TRY(annotate(apply_peft_config(json::parse(text, nullptr, false), declared), "adapter_config.json"));
  }
  ESP_ASSIGN(result.adapter, read_weights(file, declared, targets));
  return result;
}

Result<AdapterInfo> read_adapter_info(const fs::path& path) {
  ESP_ASSIGN(const auto file, open_weights(path));
  return info_of(file.metadata());
}

}  // namespace espalier::nn
