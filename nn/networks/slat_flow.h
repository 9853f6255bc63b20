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
#include "nn/sparse/sparse_tensor.h"

namespace espalier::nn {

class FlowTorso;

// The denoiser of structured latents (shape and texture): the same DiT over the occupied cells only. Attention stays
// within a sample.
//
//   x       sparse, feats [T, Cx] fp32              t  [B] fp32 flow time times 1000
//   cond    [B, L, Cc], or one [L_b, Cc] per sample
//   concat  [T, Ck] on the same rows as x, appended after its channels (Cx + Ck = in_channels); undefined for none
//   returns [T, out] fp32 velocity on x's rows
//
// Differentiable. forward() is const and may run on several threads while no parameter or LoRA branch changes.
// Reference: TRELLIS.2 trellis2/models/structured_latent_flow.py, SLatFlowModel and ElasticSLatFlowModel.
class SLatFlow {
 public:
  static std::vector<ParameterSpec> parameter_specs(const FlowConfig& config);
  static Result<std::unique_ptr<SLatFlow>> create(const FlowConfig& config, const TensorMap& tensors);
  static TensorMap init_parameters(const FlowConfig& config, at::Generator generator);
  ~SLatFlow();

  at::Tensor forward(const SparseTensor& x, const at::Tensor& t, const at::Tensor& cond,
                     const at::Tensor& concat = {}) const;
  at::Tensor forward(const SparseTensor& x, const at::Tensor& t, const std::vector<at::Tensor>& cond,
                     const at::Tensor& concat = {}) const;

  void recompute_blocks(int64_t blocks);  // as SparseStructureFlow::recompute_blocks

  const FlowConfig& config() const;
  const TensorMap& parameters() const;
  std::map<std::string, Linear*> lora_targets();  // as SparseStructureFlow::lora_targets

 private:
  explicit SLatFlow(std::unique_ptr<FlowTorso> torso);
  std::unique_ptr<FlowTorso> torso_;
};

}  // namespace espalier::nn
