#include "nn/networks/dinov3.h"

#include <torch/types.h>

#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nn/io/json_args.h"
#include "nn/layers/attention.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace espalier::nn {
namespace {

constexpr int64_t kMostDinoChannels = 1 << 16;
constexpr size_t kMostCachedSizes = 8;

// The rotation of patch tokens, with the identity for the tokens before them. Both [prefix + P, 1, d/2] fp32.
struct Rotation {
  at::Tensor cos, sin;
};

// Centres of n patches on [-1, 1].
at::Tensor patch_centres(int64_t n, const at::TensorOptions& options) {
  return (torch::arange(n, options) + 0.5) / n * 2 - 1;
}

Rotation make_rotation(const DinoV3Config& config, int64_t rows, int64_t columns, at::Device device) {
  const auto options = torch::dtype(torch::kFloat32).device(device);
  const int64_t d = config.hidden_size / config.num_attention_heads, n = d / 4;
  const at::Tensor exponent = torch::arange(n, options) * 4 / d;
  const at::Tensor frequency = 2 * M_PI / at::pow(config.rope_theta, exponent);  // [d/4]
  const at::Tensor y = patch_centres(rows, options).unsqueeze(1) * frequency,
                   x = patch_centres(columns, options).unsqueeze(1) * frequency;
  const at::Tensor angle =
      at::cat({y.unsqueeze(1).expand({rows, columns, n}), x.unsqueeze(0).expand({rows, columns, n})}, 2)
          .reshape({rows * columns, 2 * n});
  const at::Tensor prefix = torch::zeros({1 + config.num_register_tokens, 2 * n}, options);
  const at::Tensor all = at::cat({prefix, angle}, 0).unsqueeze(1);
  return {all.cos(), all.sin()};
}

// Rotates the pairs (j, j + d/2) of x [B, N, H, d].
at::Tensor rotate(const at::Tensor& x, const Rotation& rotation) {
  const auto halves = x.chunk(2, -1);
  return at::cat(
      {halves[0] * rotation.cos - halves[1] * rotation.sin, halves[1] * rotation.cos + halves[0] * rotation.sin}, -1);
}

struct VitLayer {
  at::Tensor norm1_weight, norm1_bias, norm2_weight, norm2_bias, scale1, scale2;
  Linear q, k, v, o, up, down;

  at::Tensor forward(const at::Tensor& x, const Rotation& rotation, int64_t heads, double eps) const {
    const std::vector<int64_t> split{x.size(0), x.size(1), heads, x.size(2) / heads};
    const at::Tensor n = layer_norm(x, norm1_weight, norm1_bias, eps);
    const at::Tensor mixed = attend(rotate(q.forward(n).view(split), rotation),
                                    rotate(k.forward(n).view(split), rotation), v.forward(n).view(split));
    const at::Tensor h = at::addcmul(x, o.forward(mixed), scale1);
    const at::Tensor hidden = at::gelu(up.forward(layer_norm(h, norm2_weight, norm2_bias, eps)));
    return at::addcmul(h, down.forward(hidden), scale2);
  }
};

std::string layer_prefix(int64_t index) { return absl::StrCat("layer.", index, "."); }

VitLayer make_layer(const TensorMap& parameters, const std::string& prefix) {
  const auto get = [&](const char* name) { return parameters.at(absl::StrCat(prefix, name)); };
  const auto linear = [&](const char* name) {
    const auto bias = parameters.find(absl::StrCat(prefix, name, ".bias"));
    return Linear(parameters.at(absl::StrCat(prefix, name, ".weight")),
                  bias == parameters.end() ? at::Tensor() : bias->second);
  };
  return {get("norm1.weight"),        get("norm1.bias"),           get("norm2.weight"),
          get("norm2.bias"),          get("layer_scale1.lambda1"), get("layer_scale2.lambda1"),
          linear("attention.q_proj"), linear("attention.k_proj"),  linear("attention.v_proj"),
          linear("attention.o_proj"), linear("mlp.up_proj"),       linear("mlp.down_proj")};
}

void add_layer_specs(const DinoV3Config& config, const std::string& prefix, std::vector<ParameterSpec>& specs) {
  const int64_t c = config.hidden_size, hidden = config.intermediate_size;
  const auto add = [&](const char* name, std::vector<int64_t> shape) {
    specs.push_back({absl::StrCat(prefix, name), std::move(shape), at::kFloat});
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
    add((name + ".weight").c_str(), {out, in});
    if (bias) add((name + ".bias").c_str(), {out});
  };
  add("norm1.weight", {c});
  add("norm1.bias", {c});
  linear("attention.q_proj", c, c, config.query_bias);
  linear("attention.k_proj", c, c, config.key_bias);
  linear("attention.v_proj", c, c, config.value_bias);
  linear("attention.o_proj", c, c, config.proj_bias);
  add("layer_scale1.lambda1", {c});
  add("norm2.weight", {c});
  add("norm2.bias", {c});
  linear("mlp.up_proj", hidden, c, config.mlp_bias);
  linear("mlp.down_proj", c, hidden, config.mlp_bias);
  add("layer_scale2.lambda1", {c});
}

at::Tensor image_statistic(std::array<float, 3> values, at::Device device) {
  return torch::tensor(at::ArrayRef<float>(values), torch::kFloat32).view({1, 3, 1, 1}).to(device);
}

}  // namespace

Result<DinoV3Config> DinoV3Config::parse(const nlohmann::json& object) {
  DinoV3Config config;
  JsonArgs args(object, "DINOv3 config.json");
  args.integer("patch_size", config.patch_size, 1, 256);
  args.integer("num_channels", config.num_channels, 3, 3);
  args.integer("hidden_size", config.hidden_size, 4, kMostDinoChannels, true);
  args.integer("intermediate_size", config.intermediate_size, 1, kMostDinoChannels, true);
  args.integer("num_hidden_layers", config.num_hidden_layers, 1, 1024, true);
  args.integer("num_attention_heads", config.num_attention_heads, 1, kMostDinoChannels, true);
  args.integer("num_register_tokens", config.num_register_tokens, 0, 256);
  args.number("layer_norm_eps", config.layer_norm_eps, 0, 1);
  args.number("rope_theta", config.rope_theta, 1e-3, 1e9);
  args.number("layerscale_value", config.layerscale_value, -1e3, 1e3);
  args.boolean("query_bias", config.query_bias);
  args.boolean("key_bias", config.key_bias);
  args.boolean("value_bias", config.value_bias);
  args.boolean("proj_bias", config.proj_bias);
  args.boolean("mlp_bias", config.mlp_bias);
  bool gated = false;
  std::string activation = "gelu";
  args.boolean("use_gated_mlp", gated);
  args.text("hidden_act", activation, {"gelu"});
  if (gated) args.fault("use_gated_mlp", "must be false");
  if (config.hidden_size % (4 * config.num_attention_heads) != 0) {
    args.fault("num_attention_heads", "must divide hidden_size into heads of a multiple of 4 channels");
  }
  ESP_TRY(args.status(/*reject_unknown=*/false));  // the file carries many fields of the training set-up
  return config;
}

struct DinoV3::Layers {
  DinoV3Config config;
  TensorMap parameters;
  at::Tensor prefix_tokens() const {
    return at::cat({parameters.at("embeddings.cls_token"), parameters.at("embeddings.register_tokens")}, 1);
  }
  Rotation rotation(int64_t rows, int64_t columns, at::Device device);

  at::Tensor patch_weight, patch_bias;
  std::vector<VitLayer> layers;

 private:
  std::mutex mutex_;  // guards rotations_
  std::map<std::pair<int64_t, int64_t>, Rotation> rotations_;
};

Rotation DinoV3::Layers::rotation(int64_t rows, int64_t columns, at::Device device) {
  const std::lock_guard lock(mutex_);
  const auto found = rotations_.find({rows, columns});
  if (found != rotations_.end()) return found->second;
  if (rotations_.size() >= kMostCachedSizes) rotations_.clear();
  return rotations_[{rows, columns}] = make_rotation(config, rows, columns, device);
}

DinoV3::DinoV3(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
DinoV3::~DinoV3() = default;

std::vector<ParameterSpec> DinoV3::parameter_specs(const DinoV3Config& config) {
  const int64_t c = config.hidden_size, p = config.patch_size;
  std::vector<ParameterSpec> specs = {
      {"embeddings.cls_token", {1, 1, c}, at::kFloat},
      {"embeddings.mask_token", {1, 1, c}, at::kFloat},
      {"embeddings.register_tokens", {1, config.num_register_tokens, c}, at::kFloat},
      {"embeddings.patch_embeddings.weight", {c, config.num_channels, p, p}, at::kFloat},
      {"embeddings.patch_embeddings.bias", {c}, at::kFloat},
  };
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) add_layer_specs(config, layer_prefix(i), specs);
  specs.push_back({"norm.weight", {c}, at::kFloat});
  specs.push_back({"norm.bias", {c}, at::kFloat});
  return specs;
}

Result<std::unique_ptr<DinoV3>> DinoV3::create(const DinoV3Config& config, const TensorMap& tensors) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, "DINOv3"));
  auto layers = std::make_unique<Layers>();
  layers->config = config;
  layers->patch_weight = parameters.at("embeddings.patch_embeddings.weight");
  layers->patch_bias = parameters.at("embeddings.patch_embeddings.bias");
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers->layers.push_back(make_layer(parameters, layer_prefix(i)));
  }
  layers->parameters = std::move(parameters);
  return std::unique_ptr<DinoV3>(new DinoV3(std::move(layers)));
}

TensorMap DinoV3::init_parameters(const DinoV3Config& config, at::Generator generator) {
  TensorMap parameters;
  const double shrink = 1 / std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers));
  for (const auto& spec : parameter_specs(config)) {
    at::Tensor value = torch::zeros(spec.shape);
    const bool residual = absl::StrContains(spec.name, "o_proj") || absl::StrContains(spec.name, "down_proj");
    if (absl::EndsWith(spec.name, "lambda1")) {
      value.fill_(config.layerscale_value);
    } else if (absl::StrContains(spec.name, "norm") && absl::EndsWith(spec.name, ".weight")) {
      value.fill_(1);
    } else if (absl::EndsWith(spec.name, "cls_token") || absl::EndsWith(spec.name, "register_tokens")) {
      value.normal_(0, 1, generator);
    } else if (absl::EndsWith(spec.name, ".weight")) {
      value.normal_(0, (residual ? shrink : 1) / std::sqrt(static_cast<double>(value[0].numel())), generator);
    }
    parameters[spec.name] = value;
  }
  return parameters;
}

at::Tensor DinoV3::forward(const at::Tensor& pixels) const {
  const auto& config = layers_->config;
  const int64_t p = config.patch_size;
  TORCH_CHECK(pixels.dim() == 4 && pixels.size(1) == config.num_channels && pixels.size(2) >= p &&
                  pixels.size(3) >= p && pixels.size(2) % p == 0 && pixels.size(3) % p == 0,
              "pixels must be [B, ", config.num_channels, ", H, W] with sides that are multiples of ", p, ", got ",
              pixels.sizes());
  const int64_t batch = pixels.size(0), rows = pixels.size(2) / p, columns = pixels.size(3) / p;
  // Patches do not overlap: the embedding convolution is one matrix product.
  const at::Tensor patches = pixels.reshape({batch, config.num_channels, rows, p, columns, p})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, rows * columns, config.num_channels * p * p});
  const at::Tensor embedded = at::linear(patches, layers_->patch_weight.flatten(1), layers_->patch_bias);
  const at::Tensor prefix =
      layers_->prefix_tokens().expand({batch, 1 + config.num_register_tokens, config.hidden_size});
  at::Tensor x = at::cat({prefix, embedded}, 1);
  const Rotation rotation = layers_->rotation(rows, columns, pixels.device());
  for (const auto& layer : layers_->layers) {
    x = layer.forward(x, rotation, config.num_attention_heads, config.layer_norm_eps);
  }
  return layer_norm(x, {}, {}, kHeadNormEps);
}

const DinoV3Config& DinoV3::config() const { return layers_->config; }
const TensorMap& DinoV3::parameters() const { return layers_->parameters; }

at::Tensor normalize_pixels(const at::Tensor& pixels) {
  return (pixels - image_statistic({0.485F, 0.456F, 0.406F}, pixels.device())) /
         image_statistic({0.229F, 0.224F, 0.225F}, pixels.device());
}

at::Tensor normalize_image(const at::Tensor& rgb) {
  TORCH_CHECK(rgb.scalar_type() == at::kByte && (rgb.dim() == 3 || rgb.dim() == 4) && rgb.size(-1) == 3,
              "expected [H, W, 3] or [B, H, W, 3] uint8, got ", rgb.sizes());
  const at::Tensor batch = rgb.dim() == 3 ? rgb.unsqueeze(0) : rgb;
  return normalize_pixels(batch.permute({0, 3, 1, 2}).to(at::kFloat) / 255);
}

}  // namespace espalier::nn
