#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/layers/flow_block.h"
#include "nn/layers/linear.h"
#include "nn/networks/flow_config.h"
#include "nn/parameters.h"

namespace espalier::nn {

// Everything the dense and the sparse denoiser share: input layer, time embedding, blocks, output layer.
class FlowTorso {
 public:
  static std::vector<ParameterSpec> parameter_specs(const FlowConfig& config);
  static Result<std::unique_ptr<FlowTorso>> create(const FlowConfig& config, const TensorMap& tensors,
                                                   std::string_view network);
  static TensorMap init_parameters(const FlowConfig& config, at::Generator generator);

  // tokens [B, N, in] or [T, in] fp32, t [B] fp32, positions [N or T, C] to add or undefined -> [..., out] fp32.
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& t, const Condition& condition,
                     const TokenLayout& layout, const at::Tensor& positions) const;

  std::map<std::string, Linear*> lora_targets();

  // The first blocks, up to all, whose activations are not kept for the backward pass (nn/layers/recompute.h).
  int64_t recomputed_blocks = 0;

  const FlowConfig config;
  const TensorMap parameters;
  // Position tables of the dense grid, filled by the dense network.
  TokenLayout grid_layout;
  at::Tensor grid_positions;

 private:
  FlowTorso(const FlowConfig& flow_config, TensorMap tensors);

  Linear time_in_, time_out_, modulation_, input_, output_;
  std::vector<FlowBlock> blocks_;
};

}  // namespace espalier::nn
