#include "nn/networks/ss_flow.h"

#include <torch/types.h>

#include "nn/layers/position.h"
#include "nn/networks/flow_torso.h"

namespace espalier::nn {
namespace {

constexpr const char* kSsFlowNetwork = "sparse-structure flow";

void prepare_grid(FlowTorso& torso) {
  const auto& config = torso.config;
  const at::Tensor coords = grid_coords(config.resolution, torso.parameters.begin()->second.device());
  if (config.pe_mode == PositionMode::kRope) {
    const at::Tensor phases = rope_phases(coords, config.head_dim(), config.rope_base, config.rope_theta);
    torso.grid_layout.rope = phases.unsqueeze(1).unsqueeze(1);
  } else {
    torso.grid_positions = absolute_position_embedding(coords, config.model_channels);
  }
}

}  // namespace

SparseStructureFlow::SparseStructureFlow(std::unique_ptr<FlowTorso> torso) : torso_(std::move(torso)) {}
SparseStructureFlow::~SparseStructureFlow() = default;

std::vector<ParameterSpec> SparseStructureFlow::parameter_specs(const FlowConfig& config) {
  return FlowTorso::parameter_specs(config);
}

Result<std::unique_ptr<SparseStructureFlow>> SparseStructureFlow::create(const FlowConfig& config,
                                                                         const TensorMap& tensors) {
  ESP_ASSIGN(auto torso, FlowTorso::create(config, tensors, kSsFlowNetwork));
  prepare_grid(*torso);
  return std::unique_ptr<SparseStructureFlow>(new SparseStructureFlow(std::move(torso)));
}

TensorMap SparseStructureFlow::init_parameters(const FlowConfig& config, at::Generator generator) {
  return FlowTorso::init_parameters(config, std::move(generator));
}

at::Tensor SparseStructureFlow::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& cond) const {
  const int64_t r = config().resolution;
  TORCH_CHECK(x.dim() == 5 && x.size(1) == config().in_channels && x.size(2) == r && x.size(3) == r && x.size(4) == r,
              "x must be [B, ", config().in_channels, ", ", r, ", ", r, ", ", r, "], got ", x.sizes());
  TORCH_CHECK(t.dim() == 1 && t.size(0) == x.size(0), "t must be [", x.size(0), "], got ", t.sizes());
  TORCH_CHECK(cond.dim() == 3 && cond.size(0) == x.size(0) && cond.size(2) == config().cond_channels, "cond must be [",
              x.size(0), ", L, ", config().cond_channels, "], got ", cond.sizes());
  const at::Tensor tokens = x.flatten(2).transpose(1, 2);  // [B, R^3, in]
  const at::Tensor y = torso_->forward(tokens, t, {cond, {}}, torso_->grid_layout, torso_->grid_positions);
  return y.transpose(1, 2).reshape({x.size(0), config().out_channels, r, r, r});
}

void SparseStructureFlow::recompute_blocks(int64_t blocks) { torso_->recomputed_blocks = blocks; }
const FlowConfig& SparseStructureFlow::config() const { return torso_->config; }
const TensorMap& SparseStructureFlow::parameters() const { return torso_->parameters; }
std::map<std::string, Linear*> SparseStructureFlow::lora_targets() { return torso_->lora_targets(); }

}  // namespace espalier::nn
