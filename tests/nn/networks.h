#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include "nn/networks/flow_config.h"
#include "nn/parameters.h"

namespace espalier::nn {

inline at::Generator generator(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

// A denoiser small enough for tests, on the official path: rope, shared modulation, qk norms.
inline FlowConfig small_flow() {
  FlowConfig config;
  config.resolution = 3;
  config.in_channels = config.out_channels = 4;
  config.model_channels = 32;
  config.cond_channels = 12;
  config.num_blocks = 2;
  config.num_heads = 2;
  config.mlp_ratio = 2;
  config.pe_mode = PositionMode::kRope;
  config.share_mod = config.qk_rms_norm = config.qk_rms_norm_cross = config.scaled_initialization = true;
  return config;
}

// Noise on every parameter, so that no path stays closed by a zero.
inline TensorMap perturbed(TensorMap parameters, at::Generator gen, double std = 0.2) {
  for (auto& [name, tensor] : parameters) tensor = tensor + torch::empty_like(tensor).normal_(0, std, gen);
  return parameters;
}

}  // namespace espalier::nn
