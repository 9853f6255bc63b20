#include "nn/lora/adapter.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/philox.h"
#include "common/sha256.h"
#include "nn/layers/linear.h"

namespace espalier::nn {
namespace {

constexpr const char* kAttention[] = {"self_attn.to_qkv", "self_attn.to_out", "cross_attn.to_q", "cross_attn.to_kv",
                                      "cross_attn.to_out"};
constexpr const char* kMlp[] = {"mlp.mlp.0", "mlp.mlp.2"};
constexpr int64_t kMaxRank = 1024;

std::string shape_text(const at::Tensor& tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) absl::StrAppend(&text, i ? ", " : "", tensor.size(i));
  return text + "]";
}

// U(-1/sqrt(in), 1/sqrt(in)) as PEFT's kaiming_uniform(a = sqrt 5), from a stream of the module's own.
at::Tensor initial_a(int64_t rank, int64_t in, const std::string& module, uint64_t seed) {
  const auto digest = sha256_hex(absl::StrCat(seed, "/", module));
  PhiloxStream random(std::stoull(digest.substr(0, 16), nullptr, 16));
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  auto a = torch::empty({rank, in}, torch::kFloat32);
  auto* values = a.data_ptr<float>();
  for (int64_t i = 0; i < a.numel(); ++i) values[i] = static_cast<float>(random.uniform(-bound, bound));
  return a;
}

Status check_fits(const std::string& module, const LoraPair& pair, const Linear& layer) {
  if (pair.a.dim() != 2 || pair.a.size(1) != layer.in_features()) {
    return absl::InvalidArgumentError(absl::StrCat(module, ".lora_A.weight: shape ", shape_text(pair.a),
                                                   " (expected [rank, ", layer.in_features(), "])"));
  }
  if (pair.b.dim() != 2 || pair.b.size(0) != layer.out_features() || pair.b.size(1) != pair.a.size(0)) {
    return absl::InvalidArgumentError(absl::StrCat(module, ".lora_B.weight: shape ", shape_text(pair.b), " (expected [",
                                                   layer.out_features(), ", ", pair.a.size(0), "])"));
  }
  return absl::OkStatus();
}

}  // namespace

double LoraConfig::scaling() const {
  return alpha / (rank_stabilised ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

Result<std::vector<std::string>> target_suffixes(std::string_view preset) {
  std::vector<std::string> suffixes;
  if (preset == "attn" || preset == "attn+mlp") {
    suffixes.assign(std::begin(kAttention), std::end(kAttention));
    if (preset == "attn+mlp") suffixes.insert(suffixes.end(), std::begin(kMlp), std::end(kMlp));
    return suffixes;
  }
  suffixes = absl::StrSplit(std::string(preset), ',');
  for (const auto& suffix : suffixes) {
    const bool plain = std::all_of(suffix.begin(), suffix.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_'; });
    if (suffix.empty() || !plain) {
      return absl::InvalidArgumentError(absl::StrCat(
          "targets: '", suffix, "' is not a module suffix (allowed: attn+mlp, attn, or suffixes joined by commas)"));
    }
  }
  return suffixes;
}

bool matches_suffix(std::string_view module, std::string_view suffix) {
  if (module == suffix) return true;
  return module.size() > suffix.size() && module.ends_with(suffix) && module[module.size() - suffix.size() - 1] == '.';
}

std::vector<std::pair<std::string, at::Tensor>> LoraAdapter::named_tensors() const {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [module, pair] : modules) {
    tensors.emplace_back(module + ".lora_A.weight", pair.a);
    tensors.emplace_back(module + ".lora_B.weight", pair.b);
  }
  return tensors;
}

Result<LoraAdapter> make_adapter(const LoraTargets& targets, const LoraConfig& config, uint64_t seed) {
  if (config.rank < 1 || config.rank > kMaxRank) {
    return absl::InvalidArgumentError(absl::StrCat("rank: ", config.rank, " (allowed: 1..", kMaxRank, ")"));
  }
  if (!(config.alpha > 0) || !std::isfinite(config.alpha)) {
    return absl::InvalidArgumentError(absl::StrCat("alpha: ", config.alpha, " (allowed: > 0)"));
  }
  LoraAdapter adapter{config, {}};
  for (const auto& suffix : config.target_suffixes) {
    size_t matched = 0;
    for (const auto& [module, layer] : targets) {
      if (!matches_suffix(module, suffix)) continue;
      ++matched;
      const auto device = layer->weight.device();
      adapter.modules[module] = {
          initial_a(config.rank, layer->in_features(), module, seed).to(device),
          torch::zeros({layer->out_features(), config.rank}, torch::dtype(torch::kFloat32).device(device)),
          config.scaling()};
    }
    if (matched == 0) {
      return absl::InvalidArgumentError(absl::StrCat("targets: '", suffix, "' names no linear layer of the network"));
    }
  }
  if (adapter.modules.empty()) return absl::InvalidArgumentError("targets: none given");
  return adapter;
}

Result<AdapterScope> AdapterScope::attach(const LoraAdapter& adapter, const LoraTargets& targets, double scale) {
  for (const auto& [module, pair] : adapter.modules) {
    const auto target = targets.find(module);
    if (target == targets.end()) {
      return absl::InvalidArgumentError(absl::StrCat(module, ": the network has no such module"));
    }
    ESP_TRY(check_fits(module, pair, *target->second));
  }
  AdapterScope scope;
  for (const auto& [module, pair] : adapter.modules) {
    auto* layer = targets.at(module);
    layer->branches.push_back({pair.a, pair.b, pair.scaling * scale});
    scope.attached_.emplace_back(layer, pair.a.unsafeGetTensorImpl());
  }
  return scope;
}

AdapterScope& AdapterScope::operator=(AdapterScope&& other) noexcept {
  if (this != &other) {
    detach();
    attached_ = std::exchange(other.attached_, {});
  }
  return *this;
}

void AdapterScope::detach() {
  for (const auto& [layer, identity] : attached_) {
    auto& branches = layer->branches;
    const auto found = std::find_if(branches.begin(), branches.end(), [id = identity](const LoraBranch& branch) {
      return branch.a.unsafeGetTensorImpl() == id;
    });
    if (found != branches.end()) branches.erase(found);
  }
  attached_.clear();
}

at::Tensor merged_weight(const at::Tensor& weight, const LoraPair& pair, double scale) {
  TORCH_CHECK(weight.dim() == 2 && pair.b.size(0) == weight.size(0) && pair.a.size(1) == weight.size(1),
              "adapter of shape [", pair.b.size(0), ", ", pair.a.size(1), "] on a weight ", weight.sizes());
  const auto delta = at::mm(pair.b.to(torch::kFloat32), pair.a.to(torch::kFloat32));
  return weight.to(torch::kFloat32).add(delta, scale * pair.scaling).to(weight.scalar_type());
}

}  // namespace espalier::nn
