#include "nn/networks/flow_torso.h"

#include <torch/types.h>

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nn/layers/norm.h"
#include "nn/layers/position.h"
#include "nn/layers/recompute.h"

namespace espalier::nn {
namespace {

constexpr int64_t kTimestepChannels = 256;
constexpr double kTimeStd = 0.02;

std::string block_prefix(int64_t index) { return absl::StrCat("blocks.", index, "."); }

// Standard deviation of a weight under the "scaled" recipe; 0 leaves zeros.
double scaled_std(const std::string& name, const FlowConfig& config, int64_t fan_in) {
  const double width = 5.0 * static_cast<double>(config.model_channels);
  if (absl::StrContains(name, "adaLN_modulation") || absl::StartsWith(name, "out_layer")) return 0;
  if (absl::StartsWith(name, "t_embedder")) return kTimeStd;
  if (absl::StartsWith(name, "input_layer")) return 1 / std::sqrt(static_cast<double>(fan_in));
  if (absl::StrContains(name, "to_out") || absl::StrContains(name, "mlp.mlp.2")) {
    return 1 / std::sqrt(width * static_cast<double>(config.num_blocks));
  }
  return std::sqrt(2 / width);
}

void init_weight(at::Tensor& weight, const std::string& name, const FlowConfig& config, at::Generator& generator) {
  const double std = scaled_std(name, config, weight.size(1));
  if (std == 0) return;
  if (config.scaled_initialization || absl::StartsWith(name, "t_embedder")) {
    weight.normal_(0, std, generator);
  } else {  // "vanilla" is Xavier uniform
    const double bound = std::sqrt(6.0 / static_cast<double>(weight.size(0) + weight.size(1)));
    weight.uniform_(-bound, bound, generator);
  }
}

}  // namespace

std::vector<ParameterSpec> FlowTorso::parameter_specs(const FlowConfig& config) {
  const int64_t c = config.model_channels;
  std::vector<ParameterSpec> specs;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    specs.push_back({name + ".weight", {out, in}, at::kFloat});
    specs.push_back({name + ".bias", {out}, at::kFloat});
  };
  linear("t_embedder.mlp.0", c, kTimestepChannels);
  linear("t_embedder.mlp.2", c, c);
  if (config.share_mod) linear("adaLN_modulation.1", 6 * c, c);
  linear("input_layer", c, config.in_channels);
  for (int64_t i = 0; i < config.num_blocks; ++i) {
    for (auto& spec : FlowBlock::parameter_specs(config, block_prefix(i))) specs.push_back(std::move(spec));
  }
  linear("out_layer", config.out_channels, c);
  return specs;
}

Result<std::unique_ptr<FlowTorso>> FlowTorso::create(const FlowConfig& config, const TensorMap& tensors,
                                                     std::string_view network) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, network));
  return std::unique_ptr<FlowTorso>(new FlowTorso(config, std::move(parameters)));
}

TensorMap FlowTorso::init_parameters(const FlowConfig& config, at::Generator generator) {
  TensorMap parameters;
  for (const auto& spec : parameter_specs(config)) {
    at::Tensor value = torch::zeros(spec.shape);
    if (absl::EndsWith(spec.name, ".gamma") || absl::EndsWith(spec.name, "norm2.weight")) {
      value.fill_(1);
    } else if (absl::EndsWith(spec.name, ".modulation")) {
      value.normal_(0, 1 / std::sqrt(static_cast<double>(config.model_channels)), generator);
    } else if (value.dim() == 2) {
      init_weight(value, spec.name, config, generator);
    }
    parameters[spec.name] = value;
  }
  return parameters;
}

FlowTorso::FlowTorso(const FlowConfig& flow_config, TensorMap tensors)
    : config(flow_config), parameters(std::move(tensors)) {
  const auto linear = [&](const std::string& name) {
    return Linear(parameters.at(name + ".weight"), parameters.at(name + ".bias"));
  };
  time_in_ = linear("t_embedder.mlp.0");
  time_out_ = linear("t_embedder.mlp.2");
  if (config.share_mod) modulation_ = linear("adaLN_modulation.1");
  input_ = linear("input_layer");
  output_ = linear("out_layer");
  blocks_.reserve(config.num_blocks);
  for (int64_t i = 0; i < config.num_blocks; ++i) blocks_.emplace_back(config, parameters, block_prefix(i));
}

at::Tensor FlowTorso::forward(const at::Tensor& tokens, const at::Tensor& t, const Condition& condition,
                              const TokenLayout& layout, const at::Tensor& positions) const {
  at::Tensor h = input_.forward(tokens);
  if (positions.defined()) h = h + positions;
  h = h.to(config.dtype);
  at::Tensor m = time_out_.forward(at::silu(time_in_.forward(timestep_embedding(t))));
  if (config.share_mod) m = modulation_.forward(at::silu(m));
  m = m.to(config.dtype);
  const Condition cast{condition.tokens.to(config.dtype), condition.offsets};
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const FlowBlock& block = blocks_[i];
    if (static_cast<int64_t>(i) >= recomputed_blocks) {
      h = block.forward(h, m, cast, layout);
      continue;
    }
    const auto segment = [&block, layout, offsets = cast.offsets](const std::vector<at::Tensor>& in) {
      return block.forward(in[0], in[1], {in[2], offsets}, layout);
    };
    h = recomputed(segment, {h, m, cast.tokens}, block.trained_tensors());
  }
  return output_.forward(layer_norm(h.to(at::kFloat), {}, {}, kHeadNormEps));
}

std::map<std::string, Linear*> FlowTorso::lora_targets() {
  std::map<std::string, Linear*> targets;
  for (size_t i = 0; i < blocks_.size(); ++i) blocks_[i].collect_linears(block_prefix(i), targets);
  return targets;
}

}  // namespace espalier::nn
