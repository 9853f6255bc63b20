#include "nn/layers/flow_block.h"

#include <torch/types.h>

#include "nn/layers/attention.h"
#include "nn/layers/norm.h"
#include "nn/layers/position.h"
#include "nn/layers/split_qkv.h"

namespace espalier::nn {
namespace {

// [..., C] -> [..., parts, H, d]
at::Tensor split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  auto shape = x.sizes().vec();
  const int64_t width = shape.back() / (parts * heads);
  shape.back() = parts;
  shape.push_back(heads);
  shape.push_back(width);
  return x.view(shape);
}

}  // namespace

std::vector<ParameterSpec> FlowBlock::parameter_specs(const FlowConfig& config, const std::string& prefix) {
  const int64_t c = config.model_channels, hidden = config.mlp_channels();
  std::vector<ParameterSpec> specs;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, at::ScalarType dtype) {
    specs.push_back({prefix + name, std::move(shape), dtype});
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in}, config.dtype);
    add(name + ".bias", {out}, config.dtype);
  };
  const auto gammas = [&](const std::string& attention) {
    add(attention + ".q_rms_norm.gamma", {config.num_heads, config.head_dim()}, at::kFloat);
    add(attention + ".k_rms_norm.gamma", {config.num_heads, config.head_dim()}, at::kFloat);
  };
  if (config.share_mod) {
    add("modulation", {6 * c}, at::kFloat);
  } else {
    linear("adaLN_modulation.1", 6 * c, c);
  }
  add("norm2.weight", {c}, at::kFloat);
  add("norm2.bias", {c}, at::kFloat);
  linear("self_attn.to_qkv", 3 * c, c);
  if (config.qk_rms_norm) gammas("self_attn");
  linear("self_attn.to_out", c, c);
  linear("cross_attn.to_q", c, c);
  linear("cross_attn.to_kv", 2 * c, config.cond_channels);
  if (config.qk_rms_norm_cross) gammas("cross_attn");
  linear("cross_attn.to_out", c, c);
  linear("mlp.mlp.0", hidden, c);
  linear("mlp.mlp.2", c, hidden);
  return specs;
}

FlowBlock::FlowBlock(const FlowConfig& config, const TensorMap& parameters, const std::string& prefix)
    : heads_(config.num_heads) {
  const auto get = [&](const std::string& name) { return parameters.at(prefix + name); };
  const auto linear = [&](const std::string& name) { return Linear(get(name + ".weight"), get(name + ".bias")); };
  if (config.share_mod) {
    modulation_ = get("modulation");
  } else {
    ada_ = linear("adaLN_modulation.1");
  }
  norm2_weight_ = get("norm2.weight");
  norm2_bias_ = get("norm2.bias");
  qkv_ = linear("self_attn.to_qkv");
  self_out_ = linear("self_attn.to_out");
  cross_q_ = linear("cross_attn.to_q");
  cross_kv_ = linear("cross_attn.to_kv");
  cross_out_ = linear("cross_attn.to_out");
  mlp_in_ = linear("mlp.mlp.0");
  mlp_out_ = linear("mlp.mlp.2");
  if (config.qk_rms_norm) {
    self_q_gamma_ = get("self_attn.q_rms_norm.gamma");
    self_k_gamma_ = get("self_attn.k_rms_norm.gamma");
  }
  if (config.qk_rms_norm_cross) {
    cross_q_gamma_ = get("cross_attn.q_rms_norm.gamma");
    cross_k_gamma_ = get("cross_attn.k_rms_norm.gamma");
  }
}

void FlowBlock::collect_linears(const std::string& prefix, std::map<std::string, Linear*>& linears) {
  linears[prefix + "self_attn.to_qkv"] = &qkv_;
  linears[prefix + "self_attn.to_out"] = &self_out_;
  linears[prefix + "cross_attn.to_q"] = &cross_q_;
  linears[prefix + "cross_attn.to_kv"] = &cross_kv_;
  linears[prefix + "cross_attn.to_out"] = &cross_out_;
  linears[prefix + "mlp.mlp.0"] = &mlp_in_;
  linears[prefix + "mlp.mlp.2"] = &mlp_out_;
}

std::vector<at::Tensor> FlowBlock::trained_tensors() const {
  std::vector<at::Tensor> tensors = {modulation_,    self_q_gamma_, self_k_gamma_, cross_q_gamma_,
                                     cross_k_gamma_, norm2_weight_, norm2_bias_};
  for (const Linear* layer : {&ada_, &qkv_, &self_out_, &cross_q_, &cross_kv_, &cross_out_, &mlp_in_, &mlp_out_}) {
    tensors.insert(tensors.end(), {layer->weight, layer->bias});
    for (const auto& branch : layer->branches) tensors.insert(tensors.end(), {branch.a, branch.b});
  }
  std::erase_if(tensors, [](const at::Tensor& tensor) { return !tensor.defined() || !tensor.requires_grad(); });
  return tensors;
}

// Shift, scale, gate of the attention, then of the MLP, shaped to broadcast against the tokens.
std::vector<at::Tensor> FlowBlock::modulation(const at::Tensor& m, const TokenLayout& layout) const {
  at::Tensor six = modulation_.defined() ? (modulation_ + m).to(m.scalar_type()) : ada_.forward(at::silu(m));
  auto parts = six.chunk(6, 1);  // each [B, C]
  for (auto& part : parts) {
    part = layout.ragged() ? part.index_select(0, layout.sample_of_row) : part.unsqueeze(1);
  }
  return parts;
}

at::Tensor FlowBlock::self_attention(const at::Tensor& x, const TokenLayout& layout) const {
  const at::Tensor qkv = split_heads(qkv_.forward(x), 3, heads_);  // [..., 3, H, d]
  const int64_t axis = qkv.dim() - 3;
  at::Tensor q, k, v = qkv.select(axis, 2);
  if (split_qkv_applies(qkv, self_q_gamma_, self_k_gamma_, layout.rope)) {
    const auto parts = split_qkv(qkv, self_q_gamma_, self_k_gamma_, layout.rope);
    q = parts[0], k = parts[1], v = parts[2];
  } else if (self_q_gamma_.defined() || layout.rope.defined()) {  // q and k together: half as many operators
    at::Tensor qk = qkv.narrow(axis, 0, 2);
    if (self_q_gamma_.defined()) qk = head_rms_norm(qk, at::stack({self_q_gamma_, self_k_gamma_}));
    if (layout.rope.defined()) qk = apply_rope(qk, layout.rope);
    q = qk.select(axis, 0);
    k = qk.select(axis, 1);
  } else {
    q = qkv.select(axis, 0);
    k = qkv.select(axis, 1);
  }
  return self_out_.forward(layout.ragged() ? attend_ragged(q, k, v, layout.offsets, layout.offsets) : attend(q, k, v));
}

at::Tensor FlowBlock::cross_attention(const at::Tensor& x, const Condition& condition,
                                      const TokenLayout& layout) const {
  at::Tensor q = split_heads(cross_q_.forward(x), 1, heads_);
  q = q.select(q.dim() - 3, 0);  // [..., H, d]
  const at::Tensor kv = split_heads(cross_kv_.forward(condition.tokens), 2, heads_);
  at::Tensor k = kv.select(kv.dim() - 3, 0);
  const at::Tensor v = kv.select(kv.dim() - 3, 1);
  if (cross_q_gamma_.defined()) {
    q = head_rms_norm(q, cross_q_gamma_);
    k = head_rms_norm(k, cross_k_gamma_);
  }
  return cross_out_.forward(layout.ragged() ? attend_ragged(q, k, v, layout.offsets, condition.offsets)
                                            : attend(q, k, v));
}

at::Tensor FlowBlock::forward(const at::Tensor& x, const at::Tensor& m, const Condition& condition,
                              const TokenLayout& layout) const {
  const auto mod = modulation(m, layout);
  const auto modulated = [](const at::Tensor& tokens, const at::Tensor& shift, const at::Tensor& scale) {
    return at::addcmul(shift, layer_norm(tokens, {}, {}, kBlockNormEps), scale + 1);
  };
  at::Tensor h = at::addcmul(x, mod[2], self_attention(modulated(x, mod[0], mod[1]), layout));
  h = h + cross_attention(layer_norm(h, norm2_weight_, norm2_bias_, kBlockNormEps), condition, layout);
  const at::Tensor hidden = at::gelu(mlp_in_.forward(modulated(h, mod[3], mod[4])), "tanh");
  return at::addcmul(h, mod[5], mlp_out_.forward(hidden));
}

}  // namespace espalier::nn
