#include "nn/networks/ss_vae.h"

#include <torch/types.h>

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nn/io/json_args.h"
#include "nn/layers/dense3d.h"
#include "nn/layers/norm.h"

namespace espalier::nn {
namespace {

constexpr int64_t kMostVaeChannels = 1 << 14;
constexpr int64_t kOutputGroups = 32;
constexpr auto kLast = at::MemoryFormat::ChannelsLast3d;

struct DenseConv {
  at::Tensor weight, bias;

  at::Tensor forward(const at::Tensor& x, int64_t stride, int64_t padding) const {
    return at::conv3d(x, weight, bias, {stride, stride, stride}, {padding, padding, padding});
  }
};

struct DenseNorm {
  at::Tensor weight, bias;

  at::Tensor forward(const at::Tensor& x) const { return channel_layer_norm(x, weight, bias); }
};

// What a position in `blocks` is.
enum class LayerKind { kResidual, kDown, kUp };

struct DenseStage {
  std::string prefix;
  LayerKind kind;
  int64_t in, out;
};

// The network as a table, in the order it runs.
struct Plan {
  std::vector<DenseStage> stages;
  int64_t input_in, input_out, output_in, output_out;
};

void add_middle(const SsVaeConfig& config, int64_t channels, Plan& plan) {
  for (int64_t i = 0; i < config.num_res_blocks_middle; ++i) {
    plan.stages.push_back({absl::StrCat("middle_block.", i, "."), LayerKind::kResidual, channels, channels});
  }
}

void add_levels(const SsVaeConfig& config, LayerKind resample, Plan& plan) {
  int index = 0;
  const auto& channels = config.channels;
  for (size_t level = 0; level < channels.size(); ++level) {
    for (int64_t i = 0; i < config.num_res_blocks; ++i) {
      plan.stages.push_back(
          {absl::StrCat("blocks.", index++, "."), LayerKind::kResidual, channels[level], channels[level]});
    }
    if (level + 1 < channels.size()) {
      plan.stages.push_back({absl::StrCat("blocks.", index++, "."), resample, channels[level], channels[level + 1]});
    }
  }
}

Plan encoder_plan(const SsVaeConfig& config) {
  Plan plan{{}, config.io_channels, config.channels.front(), config.channels.back(), 2 * config.latent_channels};
  add_levels(config, LayerKind::kDown, plan);
  add_middle(config, config.channels.back(), plan);
  return plan;
}

Plan decoder_plan(const SsVaeConfig& config) {
  Plan plan{{}, config.latent_channels, config.channels.front(), config.channels.back(), config.io_channels};
  add_middle(config, config.channels.front(), plan);
  add_levels(config, LayerKind::kUp, plan);
  return plan;
}

std::vector<ParameterSpec> plan_specs(const Plan& plan, at::ScalarType dtype) {
  std::vector<ParameterSpec> specs;
  const auto conv = [&](const std::string& name, int64_t out, int64_t in, int64_t k, at::ScalarType type) {
    specs.push_back({name + ".weight", {out, in, k, k, k}, type});
    specs.push_back({name + ".bias", {out}, type});
  };
  const auto norm = [&](const std::string& name, int64_t channels) {
    specs.push_back({name + ".weight", {channels}, at::kFloat});
    specs.push_back({name + ".bias", {channels}, at::kFloat});
  };
  conv("input_layer", plan.input_out, plan.input_in, 3, at::kFloat);
  for (const auto& stage : plan.stages) {
    if (stage.kind == LayerKind::kResidual) {
      norm(stage.prefix + "norm1", stage.in);
      norm(stage.prefix + "norm2", stage.out);
      conv(stage.prefix + "conv1", stage.out, stage.in, 3, dtype);
      conv(stage.prefix + "conv2", stage.out, stage.out, 3, dtype);
    } else if (stage.kind == LayerKind::kDown) {
      conv(stage.prefix + "conv", stage.out, stage.in, 2, dtype);
    } else {
      conv(stage.prefix + "conv", 8 * stage.out, stage.in, 3, dtype);
    }
  }
  norm("out_layer.0", plan.output_in);
  conv("out_layer.2", plan.output_out, plan.output_in, 3, at::kFloat);
  return specs;
}

// PyTorch's convolution defaults; the second convolution of a residual block starts at zero, so blocks start as
// identity.
TensorMap init_plan(const Plan& plan, at::Generator generator) {
  TensorMap parameters;
  double bound = 0;  // of the convolution a bias belongs to, which precedes it in the table
  for (const auto& spec : plan_specs(plan, at::kFloat)) {
    at::Tensor value = torch::zeros(spec.shape);
    const bool of_norm = absl::StrContains(spec.name, "norm") || absl::StartsWith(spec.name, "out_layer.0.");
    if (of_norm) {
      if (absl::EndsWith(spec.name, ".weight")) value.fill_(1);
    } else if (!absl::StrContains(spec.name, ".conv2.")) {
      if (value.dim() == 5) bound = 1 / std::sqrt(static_cast<double>(value[0].numel()));
      value.uniform_(-bound, bound, generator);
    }
    parameters[spec.name] = value;
  }
  return parameters;
}

struct DenseLayer {
  LayerKind kind;
  DenseNorm norm1, norm2;
  DenseConv conv1, conv2;  // a resampling layer has conv1 only

  at::Tensor forward(const at::Tensor& x) const {
    if (kind == LayerKind::kDown) return conv1.forward(x, 2, 0);
    if (kind == LayerKind::kUp) return pixel_shuffle_3d(conv1.forward(x, 1, 1));
    const at::Tensor h = conv1.forward(at::silu(norm1.forward(x)), 1, 1);
    return conv2.forward(at::silu(norm2.forward(h)), 1, 1) + x;
  }
};

// Input layer, stages, output layer: the body of both halves.
class DenseNetwork {
 public:
  DenseNetwork(const SsVaeConfig& vae_config, const Plan& plan, TensorMap tensors)
      : config(vae_config), parameters(std::move(tensors)) {
    const auto get = [&](const std::string& name) { return parameters.at(name); };
    const auto conv = [&](const std::string& name) { return DenseConv{get(name + ".weight"), get(name + ".bias")}; };
    const auto norm = [&](const std::string& name) { return DenseNorm{get(name + ".weight"), get(name + ".bias")}; };
    input_ = conv("input_layer");
    for (const auto& stage : plan.stages) {
      if (stage.kind == LayerKind::kResidual) {
        layers_.push_back({stage.kind, norm(stage.prefix + "norm1"), norm(stage.prefix + "norm2"),
                           conv(stage.prefix + "conv1"), conv(stage.prefix + "conv2")});
      } else {
        layers_.push_back({stage.kind, {}, {}, conv(stage.prefix + "conv"), {}});
      }
    }
    output_norm_ = norm("out_layer.0");
    output_ = conv("out_layer.2");
  }

  at::Tensor forward(const at::Tensor& x) const {
    TORCH_CHECK(x.dim() == 5 && x.size(1) == input_.weight.size(1), "expected [B, ", input_.weight.size(1),
                ", N, N, N], got ", x.sizes());
    at::Tensor h = input_.forward(x, 1, 1).to(config.dtype).contiguous(kLast);
    for (const auto& layer : layers_) h = layer.forward(h);
    h = h.to(at::kFloat);
    h = config.group_norm ? at::group_norm(h, kOutputGroups, output_norm_.weight, output_norm_.bias, kHeadNormEps)
                          : output_norm_.forward(h);
    return output_.forward(at::silu(h), 1, 1);
  }

  const SsVaeConfig config;
  const TensorMap parameters;

 private:
  DenseConv input_, output_;
  DenseNorm output_norm_;
  std::vector<DenseLayer> layers_;
};

}  // namespace

Result<SsVaeConfig> SsVaeConfig::parse(const nlohmann::json& object) {
  SsVaeConfig config;
  JsonArgs args(object, "sparse-structure VAE arguments");
  args.integer(args.has("out_channels") ? "out_channels" : "in_channels", config.io_channels, 1, kMostVaeChannels,
               true);
  args.integer("latent_channels", config.latent_channels, 1, kMostVaeChannels, true);
  args.integer("num_res_blocks", config.num_res_blocks, 0, 64, true);
  args.integer("num_res_blocks_middle", config.num_res_blocks_middle, 0, 64);
  args.integers("channels", config.channels, 1, kMostVaeChannels, 8);
  std::string norm = "layer";
  bool use_fp16 = false;
  args.text("norm_type", norm, {"layer", "group"});
  args.boolean("use_fp16", use_fp16);
  config.group_norm = norm == "group";
  config.dtype = use_fp16 ? at::kHalf : at::kFloat;
  if (config.group_norm && !config.channels.empty() && config.channels.back() % kOutputGroups != 0) {
    args.fault("channels", "must end with a multiple of 32 for norm_type group");
  }
  ESP_TRY(args.status(/*reject_unknown=*/true));
  return config;
}

struct SparseStructureEncoder::Layers : DenseNetwork {
  using DenseNetwork::DenseNetwork;
};

SparseStructureEncoder::SparseStructureEncoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
SparseStructureEncoder::~SparseStructureEncoder() = default;

std::vector<ParameterSpec> SparseStructureEncoder::parameter_specs(const SsVaeConfig& config) {
  return plan_specs(encoder_plan(config), config.dtype);
}

Result<std::unique_ptr<SparseStructureEncoder>> SparseStructureEncoder::create(const SsVaeConfig& config,
                                                                               const TensorMap& tensors) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, "sparse-structure encoder"));
  auto layers = std::make_unique<Layers>(config, encoder_plan(config), std::move(parameters));
  return std::unique_ptr<SparseStructureEncoder>(new SparseStructureEncoder(std::move(layers)));
}

TensorMap SparseStructureEncoder::init_parameters(const SsVaeConfig& config, at::Generator generator) {
  return init_plan(encoder_plan(config), std::move(generator));
}

Posterior SparseStructureEncoder::forward(const at::Tensor& occupancy) const {
  const auto halves = layers_->forward(occupancy).chunk(2, 1);
  return {halves[0].contiguous(), halves[1].contiguous()};
}

const SsVaeConfig& SparseStructureEncoder::config() const { return layers_->config; }
const TensorMap& SparseStructureEncoder::parameters() const { return layers_->parameters; }

struct SparseStructureDecoder::Layers : DenseNetwork {
  using DenseNetwork::DenseNetwork;
};

SparseStructureDecoder::SparseStructureDecoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
SparseStructureDecoder::~SparseStructureDecoder() = default;

std::vector<ParameterSpec> SparseStructureDecoder::parameter_specs(const SsVaeConfig& config) {
  return plan_specs(decoder_plan(config), config.dtype);
}

Result<std::unique_ptr<SparseStructureDecoder>> SparseStructureDecoder::create(const SsVaeConfig& config,
                                                                               const TensorMap& tensors) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, "sparse-structure decoder"));
  auto layers = std::make_unique<Layers>(config, decoder_plan(config), std::move(parameters));
  return std::unique_ptr<SparseStructureDecoder>(new SparseStructureDecoder(std::move(layers)));
}

TensorMap SparseStructureDecoder::init_parameters(const SsVaeConfig& config, at::Generator generator) {
  return init_plan(decoder_plan(config), std::move(generator));
}

at::Tensor SparseStructureDecoder::forward(const at::Tensor& latent) const {
  return layers_->forward(latent).contiguous();
}

const SsVaeConfig& SparseStructureDecoder::config() const { return layers_->config; }
const TensorMap& SparseStructureDecoder::parameters() const { return layers_->parameters; }

at::Tensor occupied_coords(const at::Tensor& logits, int64_t resolution) {
  TORCH_CHECK(logits.dim() == 5 && logits.size(1) == 1, "logits must be [B, 1, N, N, N], got ", logits.sizes());
  const int64_t ratio = resolution > 0 && logits.size(2) % resolution == 0 ? logits.size(2) / resolution : 0;
  TORCH_CHECK(ratio > 0, "resolution ", resolution, " does not divide ", logits.size(2));
  at::Tensor occupied = logits > 0;
  if (ratio > 1) occupied = at::max_pool3d(occupied.to(at::kFloat), {ratio, ratio, ratio}) > 0;
  const at::Tensor index = at::argwhere(occupied);  // [M, 5]: sample, channel, x, y, z
  return at::cat({index.narrow(1, 0, 1), index.narrow(1, 2, 3)}, 1).to(at::kInt);
}

}  // namespace espalier::nn
