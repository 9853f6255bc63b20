#include "nn/networks/sc_vae.h"

#include <torch/types.h>

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nn/layers/by_rows.h"
#include "nn/layers/norm.h"
#include "nn/networks/sc_vae_blocks.h"

namespace espalier::nn {
namespace {

using Kind = ScVaeStage::Kind;

// The names and widths of the layers around the blocks.
struct Ends {
  std::string input, output;
  int64_t in, out;
};

Ends encoder_ends(const ScVaeConfig& config) {
  return {"input_layer", "to_latent", config.io_channels, 2 * config.latent_channels};
}

Ends decoder_ends(const ScVaeConfig& config) {
  return {"from_latent", "output_layer", config.latent_channels, config.io_channels};
}

std::vector<ScVaeStage> stages_of(const ScVaeConfig& config, Kind resampler) {
  std::vector<ScVaeStage> stages;
  const auto& channels = config.model_channels;
  for (size_t level = 0; level < channels.size(); ++level) {
    const auto prefix = [&](int64_t block) { return absl::StrCat("blocks.", level, ".", block, "."); };
    const int64_t count = config.num_blocks[level];
    for (int64_t i = 0; i < count; ++i) {
      stages.push_back({Kind::kConvNext, prefix(i), channels[level], channels[level]});
    }
    if (level + 1 < channels.size()) {
      stages.push_back({resampler, prefix(count), channels[level], channels[level + 1], config.resampling[level],
                        resampler == Kind::kUp && config.predicts_subdivision});
    }
  }
  return stages;
}

std::vector<ParameterSpec> network_specs(const ScVaeConfig& config, Kind resampler, const Ends& ends) {
  const int64_t first = config.model_channels.front(), last = config.model_channels.back();
  std::vector<ParameterSpec> specs = {{ends.input + ".weight", {first, ends.in}, at::kFloat},
                                      {ends.input + ".bias", {first}, at::kFloat},
                                      {ends.output + ".weight", {ends.out, last}, at::kFloat},
                                      {ends.output + ".bias", {ends.out}, at::kFloat}};
  for (const auto& stage : stages_of(config, resampler)) {
    for (auto& spec : stage_specs(stage, config.dtype)) specs.push_back(std::move(spec));
  }
  return specs;
}

// The reference's start: Xavier for linear layers, PyTorch's convolution default, and the second convolution of a
// resampling block zero.
TensorMap init_network(const std::vector<ParameterSpec>& specs, at::Generator generator) {
  TensorMap parameters;
  double bound = 0;  // of the convolution a bias belongs to, which precedes it in the table
  for (const auto& spec : specs) {
    at::Tensor value = torch::zeros(spec.shape);
    if (absl::StrContains(spec.name, "norm")) {
      if (absl::EndsWith(spec.name, ".weight")) value.fill_(1);
    } else if (absl::StrContains(spec.name, ".conv") && !absl::StrContains(spec.name, ".conv2.")) {
      if (value.dim() == 5) bound = 1 / std::sqrt(static_cast<double>(value[0].numel()));
      value.uniform_(-bound, bound, generator);
    } else if (value.dim() == 2) {
      const double limit = std::sqrt(6.0 / static_cast<double>(value.size(0) + value.size(1)));
      value.uniform_(-limit, limit, generator);
    }
    parameters[spec.name] = value;
  }
  return parameters;
}

// Input layer, blocks, output layer: the body of both halves.
class SparseNetwork {
 public:
  SparseNetwork(const ScVaeConfig& vae_config, Kind resampler, const Ends& ends, TensorMap tensors)
      : config(vae_config), parameters(std::move(tensors)) {
    const auto get = [&](const std::string& name) { return parameters.at(name); };
    input_ = {get(ends.input + ".weight"), get(ends.input + ".bias")};
    output_ = {get(ends.output + ".weight"), get(ends.output + ".bias")};
    for (const auto& stage : stages_of(config, resampler)) {
      blocks_.push_back({make_block(stage, parameters), stage.kind});
    }
  }

  SparseTensor enter(const SparseTensor& x) const {
    TORCH_CHECK(x.feats.dim() == 2 && x.feats.size(1) == input_.in_features(), "expected [T, ", input_.in_features(),
                "] features, got ", x.feats.sizes());
    return x.with(input_.forward(x.feats).to(config.dtype));
  }

  // Runs the blocks up to and with the `levels`-th resampling block, or all. `subdivisions` holds the guide, if any,
  // and gets what is predicted.
  SparseTensor run_blocks(SparseTensor h, std::vector<Subdivision>& subdivisions, int64_t levels) const {
    size_t level = 0;
    for (const auto& [block, kind] : blocks_) {
      if (static_cast<int64_t>(level) == levels) break;
      if (kind != Kind::kConvNext && subdivisions.size() <= level) subdivisions.emplace_back();
      Subdivision none;
      h = block->forward(h, kind == Kind::kConvNext ? none : subdivisions[level]);
      if (kind != Kind::kConvNext) ++level;
    }
    return h;
  }

  // The caches of the blocks end here: the result may live long.
  SparseTensor leave(const SparseTensor& h) const {
    const at::Tensor feats = by_rows(h.feats, [&](const at::Tensor& rows) {
      return output_.forward(layer_norm(rows.to(at::kFloat), {}, {}, kHeadNormEps));
    });
    return {feats, h.coords, h.offsets};
  }

  const ScVaeConfig config;
  const TensorMap parameters;

 private:
  struct Block {
    std::unique_ptr<ScVaeBlock> layer;
    Kind kind;
  };
  Linear input_, output_;
  std::vector<Block> blocks_;
};

}  // namespace

struct ScVaeEncoder::Layers : SparseNetwork {
  using SparseNetwork::SparseNetwork;
};

ScVaeEncoder::ScVaeEncoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
ScVaeEncoder::~ScVaeEncoder() = default;

std::vector<ParameterSpec> ScVaeEncoder::parameter_specs(const ScVaeConfig& config) {
  return network_specs(config, Kind::kDown, encoder_ends(config));
}

Result<std::unique_ptr<ScVaeEncoder>> ScVaeEncoder::create(const ScVaeConfig& config, const TensorMap& tensors) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, "sparse VAE encoder"));
  auto layers = std::make_unique<Layers>(config, Kind::kDown, encoder_ends(config), std::move(parameters));
  return std::unique_ptr<ScVaeEncoder>(new ScVaeEncoder(std::move(layers)));
}

TensorMap ScVaeEncoder::init_parameters(const ScVaeConfig& config, at::Generator generator) {
  return init_network(parameter_specs(config), std::move(generator));
}

SparsePosterior ScVaeEncoder::forward(const SparseTensor& voxels) const {
  std::vector<Subdivision> unused;
  const SparseTensor h = layers_->leave(layers_->run_blocks(layers_->enter(voxels), unused, config().levels()));
  const auto halves = h.feats.chunk(2, 1);
  return {h.with(halves[0].contiguous()), halves[1].contiguous()};
}

const ScVaeConfig& ScVaeEncoder::config() const { return layers_->config; }
const TensorMap& ScVaeEncoder::parameters() const { return layers_->parameters; }

struct ScVaeDecoder::Layers : SparseNetwork {
  using SparseNetwork::SparseNetwork;
};

ScVaeDecoder::ScVaeDecoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
ScVaeDecoder::~ScVaeDecoder() = default;

std::vector<ParameterSpec> ScVaeDecoder::parameter_specs(const ScVaeConfig& config) {
  return network_specs(config, Kind::kUp, decoder_ends(config));
}

Result<std::unique_ptr<ScVaeDecoder>> ScVaeDecoder::create(const ScVaeConfig& config, const TensorMap& tensors) {
  ESP_ASSIGN(auto parameters, conform(parameter_specs(config), tensors, "sparse VAE decoder"));
  auto layers = std::make_unique<Layers>(config, Kind::kUp, decoder_ends(config), std::move(parameters));
  return std::unique_ptr<ScVaeDecoder>(new ScVaeDecoder(std::move(layers)));
}

TensorMap ScVaeDecoder::init_parameters(const ScVaeConfig& config, at::Generator generator) {
  return init_network(parameter_specs(config), std::move(generator));
}

ScVaeDecoded ScVaeDecoder::forward(const SparseTensor& latent, const std::vector<at::Tensor>& guide) const {
  const int64_t splits = config().levels() - 1;
  TORCH_CHECK(guide.empty() || static_cast<int64_t>(guide.size()) == splits, "the guide must have ", splits,
              " levels, got ", guide.size());
  std::vector<Subdivision> levels;
  for (const at::Tensor& subdivision : guide) levels.push_back({subdivision, {}});
  ScVaeDecoded decoded;
  decoded.voxels = layers_->leave(layers_->run_blocks(layers_->enter(latent), levels, config().levels()));
  for (const Subdivision& level : levels) {
    decoded.subdivisions.push_back(level.guide.defined() ? level.guide : level.logits);
    if (level.logits.defined()) decoded.predictions.push_back(level.logits);
  }
  return decoded;
}

at::Tensor ScVaeDecoder::upsample(const SparseTensor& latent, int64_t levels) const {
  TORCH_CHECK(levels >= 0 && levels < config().levels(), "levels must be 0 to ", config().levels() - 1, ", got ",
              levels);
  std::vector<Subdivision> subdivisions;
  return layers_->run_blocks(layers_->enter(latent), subdivisions, levels).coords;
}

const ScVaeConfig& ScVaeDecoder::config() const { return layers_->config; }
const TensorMap& ScVaeDecoder::parameters() const { return layers_->parameters; }

}  // namespace espalier::nn
