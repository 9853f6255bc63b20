#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nn/layers/linear.h"
#include "nn/networks/flow_config.h"
#include "nn/parameters.h"

namespace espalier::nn {

// How rows of tokens belong to samples, and where they are.
struct TokenLayout {
  // Empty: dense tokens [B, N, C]. Otherwise rows [T, C] of concatenated samples, with batch size + 1 boundaries.
  std::vector<int64_t> offsets;
  at::Tensor sample_of_row;  // [T] int64, ragged only
  at::Tensor rope;           // complex64 [N or T, 1, 1, d/2]; undefined without rotary positions

  bool ragged() const { return !offsets.empty(); }
};

// Image tokens: dense [B, L, Cc], or rows [S, Cc] with boundaries (then the tokens are ragged too).
struct Condition {
  at::Tensor tokens;
  std::vector<int64_t> offsets;
};

// One block of the flow denoisers, dense and sparse alike: modulated self-attention, plain cross-attention, modulated
// MLP. Reference: TRELLIS.2 trellis2/modules/transformer/modulated.py, ModulatedTransformerCrossBlock, and its sparse
// twin.
class FlowBlock {
 public:
  static std::vector<ParameterSpec> parameter_specs(const FlowConfig& config, const std::string& prefix);
  FlowBlock(const FlowConfig& config, const TensorMap& parameters, const std::string& prefix);

  // x [B, N, C] or [T, C] and m ([B, 6C] shared modulation, or [B, C] time embedding) of the torso's type -> like x.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& m, const Condition& condition,
                     const TokenLayout& layout) const;

  // Its parameters, and those of the branches on its layers, that require a gradient.
  std::vector<at::Tensor> trained_tensors() const;

  // Adds "<prefix>self_attn.to_qkv" and the six others.
  void collect_linears(const std::string& prefix, std::map<std::string, Linear*>& linears);

 private:
  std::vector<at::Tensor> modulation(const at::Tensor& m, const TokenLayout& layout) const;
  at::Tensor self_attention(const at::Tensor& x, const TokenLayout& layout) const;
  at::Tensor cross_attention(const at::Tensor& x, const Condition& condition, const TokenLayout& layout) const;

  int64_t heads_;
  at::Tensor modulation_;  // [6C] fp32, with share_mod
  Linear ada_;             // C -> 6C, without
  Linear qkv_, self_out_, cross_q_, cross_kv_, cross_out_, mlp_in_, mlp_out_;
  at::Tensor self_q_gamma_, self_k_gamma_, cross_q_gamma_, cross_k_gamma_;  // [H, d] fp32 or undefined
  at::Tensor norm2_weight_, norm2_bias_;                                    // [C] fp32
};

}  // namespace espalier::nn
