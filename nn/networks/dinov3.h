#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/status.h"
#include "nn/parameters.h"

namespace espalier::nn {

// Hugging Face `config.json` of a DINOv3ViTModel; the defaults are ViT-L/16's.
struct DinoV3Config {
  int64_t patch_size = 16;
  int64_t num_channels = 3;
  int64_t hidden_size = 1024;
  int64_t intermediate_size = 4096;
  int64_t num_hidden_layers = 24;
  int64_t num_attention_heads = 16;
  int64_t num_register_tokens = 4;
  double layer_norm_eps = 1e-5;
  double rope_theta = 100;
  double layerscale_value = 1;  // initial value, used by init_parameters only
  bool query_bias = true;
  bool key_bias = false;
  bool value_bias = true;
  bool proj_bias = true;
  bool mlp_bias = true;

  // INVALID_ARGUMENT names the field; a gated MLP or an activation other than gelu is refused.
  static Result<DinoV3Config> parse(const nlohmann::json& config);
};

// The image encoder: DINOv3 ViT without its own final norm, tokens normalised without affine instead.
//
//   pixels  [B, 3, H, W] fp32, normalised (normalize_image); H and W are multiples of the patch size
//   returns [B, 1 + R + P, C] fp32: class token, R registers, P patches row by row
//
// Differentiable; thread-safe.
// Reference: TRELLIS.2 trellis2/modules/image_feature_extractor.py, DinoV3FeatureExtractor.
class DinoV3 {
 public:
  static std::vector<ParameterSpec> parameter_specs(const DinoV3Config& config);
  static Result<std::unique_ptr<DinoV3>> create(const DinoV3Config& config, const TensorMap& tensors);
  // Weights N(0, 1/fan_in) with o_proj and down_proj shrunk by 1/sqrt(2 layers), unit-normal class and register tokens:
  // unlike the usual std 0.02 this lets position reach the tokens of a small network from the start.
  static TensorMap init_parameters(const DinoV3Config& config, at::Generator generator);
  ~DinoV3();

  at::Tensor forward(const at::Tensor& pixels) const;

  const DinoV3Config& config() const;
  const TensorMap& parameters() const;

 private:
  struct Layers;
  explicit DinoV3(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

// ImageNet mean and standard deviation applied: [B, H, W, 3] or [H, W, 3] uint8 RGB -> [B, 3, H, W] fp32.
at::Tensor normalize_image(const at::Tensor& rgb);
// The same for [B, 3, H, W] fp32 in [0, 1].
at::Tensor normalize_pixels(const at::Tensor& pixels);

}  // namespace espalier::nn
