#include "nn/networks/flow_config.h"

#include <torch/types.h>

#include <vector>

#include "nn/io/json_args.h"

namespace espalier::nn {
namespace {

constexpr int64_t kMostFlowChannels = 1 << 16;
constexpr int64_t kMostBlocks = 1024;
constexpr int64_t kHeadChannels = 64;  // the reference's default width of a head

void read_rope_frequencies(JsonArgs& args, const nlohmann::json& object, FlowConfig& config) {
  args.ignore("rope_freq");
  if (!args.has("rope_freq")) return;
  const auto& pair = object["rope_freq"];
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number() ||
      !(pair[0].get<double>() > 0) || !(pair[1].get<double>() > 0)) {
    return args.fault("rope_freq", "must be two positive numbers");
  }
  config.rope_base = pair[0].get<double>();
  config.rope_theta = pair[1].get<double>();
}

void read_heads(JsonArgs& args, FlowConfig& config) {
  int64_t head_channels = kHeadChannels;
  args.integer("num_heads", config.num_heads, 1, kMostFlowChannels);
  args.integer("num_head_channels", head_channels, 1, kMostFlowChannels);
  if (config.num_heads == 0) config.num_heads = std::max<int64_t>(config.model_channels / head_channels, 1);
  if (config.model_channels % config.num_heads != 0 || config.head_dim() % 2 != 0) {
    args.fault("num_heads", "must divide model_channels into heads of even width");
  }
}

}  // namespace

Result<FlowConfig> FlowConfig::parse(const nlohmann::json& object) {
  FlowConfig config;
  JsonArgs args(object, "flow model arguments");
  args.integer("resolution", config.resolution, 1, 1024, true);
  args.integer("in_channels", config.in_channels, 1, kMostFlowChannels, true);
  args.integer("model_channels", config.model_channels, 1, kMostFlowChannels, true);
  args.integer("cond_channels", config.cond_channels, 1, kMostFlowChannels, true);
  args.integer("out_channels", config.out_channels, 1, kMostFlowChannels, true);
  args.integer("num_blocks", config.num_blocks, 1, kMostBlocks, true);
  read_heads(args, config);
  args.number("mlp_ratio", config.mlp_ratio, 0.01, 64);
  std::string mode = "ape", type = "float32", initialization = "vanilla";
  args.text("pe_mode", mode, {"ape", "rope"});
  args.text("dtype", type, {"float32", "bfloat16", "float16"});
  args.text("initialization", initialization, {"vanilla", "scaled"});
  read_rope_frequencies(args, object, config);
  args.boolean("share_mod", config.share_mod);
  args.boolean("qk_rms_norm", config.qk_rms_norm);
  args.boolean("qk_rms_norm_cross", config.qk_rms_norm_cross);
  args.ignore("use_checkpoint");
  if (config.mlp_channels() < 1) args.fault("mlp_ratio", "must leave the MLP at least one channel");
  config.pe_mode = mode == "rope" ? PositionMode::kRope : PositionMode::kApe;
  config.dtype = type == "bfloat16" ? at::kBFloat16 : type == "float16" ? at::kHalf : at::kFloat;
  config.scaled_initialization = initialization == "scaled";
  ESP_TRY(args.status(/*reject_unknown=*/true));
  return config;
}

}  // namespace espalier::nn
