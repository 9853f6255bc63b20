#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "nn/layers/linear.h"
#include "nn/networks/flow_config.h"
#include "nn/parameters.h"

namespace espalier::nn {

class FlowTorso;

// The denoiser of the sparse-structure latent: a DiT over all R^3 cells of a dense grid, conditioned on image tokens.
//
//   x     [B, in, R, R, R] fp32 noisy latent       t  [B] fp32 flow time times 1000
//   cond  [B, L, Cc] image tokens                  returns [B, out, R, R, R] fp32 velocity
//
// Differentiable. forward() is const and may run on several threads while no parameter or LoRA branch changes.
// Reference: TRELLIS.2 trellis2/models/sparse_structure_flow.py, SparseStructureFlowModel.
class SparseStructureFlow {
 public:
  static std::vector<ParameterSpec> parameter_specs(const FlowConfig& config);
  // Shares the tensors whose type is already right (see conform()).
  static Result<std::unique_ptr<SparseStructureFlow>> create(const FlowConfig& config, const TensorMap& tensors);
  // Fresh fp32 weights for training from scratch; a "scaled" network starts by returning zeros.
  static TensorMap init_parameters(const FlowConfig& config, at::Generator generator);
  ~SparseStructureFlow();

  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& cond) const;

  // In the next forward passes with a graph: keep no activations of the first `blocks` blocks (more than there are: of
  // all) but compute them again in the backward pass. The gradients stay the same bits.
  void recompute_blocks(int64_t blocks);

  const FlowConfig& config() const;
  const TensorMap& parameters() const;
  // "blocks.0.self_attn.to_qkv" -> layer, the seven linear layers of every block. Pointers live as long as the network.
  std::map<std::string, Linear*> lora_targets();

 private:
  explicit SparseStructureFlow(std::unique_ptr<FlowTorso> torso);
  std::unique_ptr<FlowTorso> torso_;
};

}  // namespace espalier::nn
