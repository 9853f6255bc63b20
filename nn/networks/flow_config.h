#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/status.h"

namespace espalier::nn {

enum class PositionMode { kApe, kRope };

// Constructor arguments of the flow denoisers, as in `<stem>.json` next to the weights.
// Reference: TRELLIS.2 trellis2/models/sparse_structure_flow.py, structured_latent_flow.py.
struct FlowConfig {
  int64_t resolution = 0;      // token grid per side of the dense model; unused by the sparse one
  int64_t in_channels = 0;     // texture: noise and shape condition together
  int64_t model_channels = 0;  // C
  int64_t cond_channels = 0;   // Cc
  int64_t out_channels = 0;
  int64_t num_blocks = 0;
  int64_t num_heads = 0;
  double mlp_ratio = 4;
  PositionMode pe_mode = PositionMode::kApe;
  double rope_base = 1;               // frequency of slot 0 ...
  double rope_theta = 10000;          // ... and the base of its geometric decay
  at::ScalarType dtype = at::kFloat;  // of the blocks' linear layers and residual stream: float32, bfloat16 or float16
  bool share_mod = false;
  bool qk_rms_norm = false;
  bool qk_rms_norm_cross = false;
  bool scaled_initialization = false;  // "scaled" instead of "vanilla"; used by init_parameters only

  int64_t head_dim() const { return model_channels / num_heads; }
  int64_t mlp_channels() const { return static_cast<int64_t>(static_cast<double>(model_channels) * mlp_ratio); }

  // From the `args` object of a model file. Ignores arguments that do not change the result (use_checkpoint).
  // INVALID_ARGUMENT names the field and what it allows, or an argument that is not known.
  static Result<FlowConfig> parse(const nlohmann::json& args);
};

}  // namespace espalier::nn
