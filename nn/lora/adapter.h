#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

// Low-rank adapters: y = W x + b + scale * s * B (A x), A [r, in], B [out, r], s = alpha / r.
// Reference: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models"; names and rules as in Hugging Face PEFT.
namespace espalier::nn {

class Linear;

// The linear layers of a network an adapter may act on, by module path ("blocks.0.self_attn.to_qkv").
using LoraTargets = std::map<std::string, Linear*>;

struct LoraConfig {
  int64_t rank = 32;
  double alpha = 32;
  bool rank_stabilised = false;              // s = alpha / sqrt(r)
  std::vector<std::string> target_suffixes;  // see matches_suffix

  double scaling() const;
};

// "attn+mlp" (all seven linears of a block), "attn" (its five attention projections), or a comma list of suffixes.
// INVALID_ARGUMENT: empty or with characters no module path has.
Result<std::vector<std::string>> target_suffixes(std::string_view preset);

// PEFT's rule: the path is the suffix, or ends with "." + suffix.
bool matches_suffix(std::string_view module, std::string_view suffix);

struct LoraPair {
  at::Tensor a;        // [r, in] float32
  at::Tensor b;        // [out, r] float32
  double scaling = 1;  // s of this module
};

// A value; copies share the tensors.
struct LoraAdapter {
  LoraConfig config;
  std::map<std::string, LoraPair> modules;  // by module path

  // The tensors under the names of a PEFT file without the prefix: "<path>.lora_A.weight", "<path>.lora_B.weight".
  std::vector<std::pair<std::string, at::Tensor>> named_tensors() const;
};

// A fresh adapter over the targets that match: A uniform in +-1/sqrt(in), B zero, so it changes nothing yet. A is a
// function of (seed, module path) only, equal on every machine and rank.
// INVALID_ARGUMENT: a suffix matches no module, or rank or alpha out of range (1..1024; > 0).
Result<LoraAdapter> make_adapter(const LoraTargets& targets, const LoraConfig& config, uint64_t seed);

// Attaches A and B as a branch of each layer for the lifetime of the scope; branches add up, in order of attachment.
// The layers must outlive it. `scale` multiplies s (0: no effect).
class AdapterScope {
 public:
  AdapterScope() = default;
  // INVALID_ARGUMENT: the adapter has a module the network lacks, or a shape does not fit; nothing is attached then.
  static Result<AdapterScope> attach(const LoraAdapter& adapter, const LoraTargets& targets, double scale = 1);
  ~AdapterScope() { detach(); }
  AdapterScope(AdapterScope&& other) noexcept : attached_(std::exchange(other.attached_, {})) {}
  AdapterScope& operator=(AdapterScope&& other) noexcept;
  AdapterScope(const AdapterScope&) = delete;
  AdapterScope& operator=(const AdapterScope&) = delete;
  void detach();

 private:
  std::vector<std::pair<Linear*, const void*>> attached_;  // layer, identity of A
};

// W + scale * s * B A: product in float32, then rounded to W's type. Shapes must fit (TORCH_CHECK).
at::Tensor merged_weight(const at::Tensor& weight, const LoraPair& pair, double scale = 1);

}  // namespace espalier::nn
