#include "nn/networks/slat_flow.h"

#include <torch/types.h>

#include "nn/layers/position.h"
#include "nn/networks/flow_torso.h"

namespace espalier::nn {
namespace {

constexpr const char* kNetwork = "structured-latent flow";

std::vector<int64_t> even_offsets(int64_t samples, int64_t rows) {
  std::vector<int64_t> offsets(samples + 1);
  for (int64_t b = 0; b <= samples; ++b) offsets[b] = b * rows;
  return offsets;
}

// Rows of one sample need no boundaries: they run as a dense batch of one, without gathers and copies.
at::Tensor run(const FlowTorso& torso, const SparseTensor& x, const at::Tensor& t, Condition condition,
               const at::Tensor& concat) {
  const auto& config = torso.config;
  at::Tensor tokens = concat.defined() ? at::cat({x.feats, concat}, 1) : x.feats;
  TORCH_CHECK(tokens.dim() == 2 && tokens.size(1) == config.in_channels, "x and concat must have ", config.in_channels,
              " channels together, got ", tokens.sizes());
  TORCH_CHECK(t.dim() == 1 && t.size(0) == x.batch_size(), "t must be [", x.batch_size(), "], got ", t.sizes());
  TORCH_CHECK(condition.tokens.size(-1) == config.cond_channels, "cond must have ", config.cond_channels, " channels");
  TokenLayout layout;
  at::Tensor positions;
  const at::Tensor coords = x.coords.narrow(1, 1, 3);
  if (config.pe_mode == PositionMode::kRope) {
    const at::Tensor phases = rope_phases(coords, config.head_dim(), config.rope_base, config.rope_theta);
    layout.rope = phases.unsqueeze(1).unsqueeze(1);
  } else {
    positions = absolute_position_embedding(coords, config.model_channels);
  }
  if (x.batch_size() == 1) {
    condition.offsets.clear();
    if (condition.tokens.dim() == 2) condition.tokens = condition.tokens.unsqueeze(0);
    return torso.forward(tokens.unsqueeze(0), t, condition, layout, positions).squeeze(0);
  }
  layout.offsets = x.offsets;
  layout.sample_of_row = x.coords.select(1, 0).to(at::kLong);
  return torso.forward(tokens, t, condition, layout, positions);
}

}  // namespace

SLatFlow::SLatFlow(std::unique_ptr<FlowTorso> torso) : torso_(std::move(torso)) {}
SLatFlow::~SLatFlow() = default;

std::vector<ParameterSpec> SLatFlow::parameter_specs(const FlowConfig& config) {
  return FlowTorso::parameter_specs(config);
}

Result<std::unique_ptr<SLatFlow>> SLatFlow::create(const FlowConfig& config, const TensorMap& tensors) {
  ESP_ASSIGN(auto torso, FlowTorso::create(config, tensors, kNetwork));
  return std::unique_ptr<SLatFlow>(new SLatFlow(std::move(torso)));
}

TensorMap SLatFlow::init_parameters(const FlowConfig& config, at::Generator generator) {
  return FlowTorso::init_parameters(config, std::move(generator));
}

at::Tensor SLatFlow::forward(const SparseTensor& x, const at::Tensor& t, const at::Tensor& cond,
                             const at::Tensor& concat) const {
  TORCH_CHECK(cond.dim() == 3 && cond.size(0) == x.batch_size(), "cond must be [", x.batch_size(), ", L, ",
              config().cond_channels, "], got ", cond.sizes());
  return run(*torso_, x, t, {cond.flatten(0, 1), even_offsets(cond.size(0), cond.size(1))}, concat);
}

at::Tensor SLatFlow::forward(const SparseTensor& x, const at::Tensor& t, const std::vector<at::Tensor>& cond,
                             const at::Tensor& concat) const {
  TORCH_CHECK(static_cast<int64_t>(cond.size()) == x.batch_size(), "cond has ", cond.size(), " samples instead of ",
              x.batch_size());
  Condition condition{at::cat(cond, 0), {0}};
  for (const auto& tokens : cond) condition.offsets.push_back(condition.offsets.back() + tokens.size(0));
  return run(*torso_, x, t, std::move(condition), concat);
}

void SLatFlow::recompute_blocks(int64_t blocks) { torso_->recomputed_blocks = blocks; }
const FlowConfig& SLatFlow::config() const { return torso_->config; }
const TensorMap& SLatFlow::parameters() const { return torso_->parameters; }
std::map<std::string, Linear*> SLatFlow::lora_targets() { return torso_->lora_targets(); }

}  // namespace espalier::nn
