#include "nn/networks/sc_vae_config.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "nn/io/json_args.h"

namespace espalier::nn {
namespace {

constexpr int64_t kMostScVaeChannels = 1 << 14;
constexpr int64_t kMostScVaeBlocks = 256;
constexpr size_t kMostLevels = 12;
constexpr int64_t kDualGridInputs = 6, kDualGridOutputs = 7;

void parse_block_types(JsonArgs& args, size_t levels) {
  std::vector<std::string> types;
  args.texts("block_type", types, {"SparseConvNeXtBlock3d"}, kMostLevels);
  if (types.size() != levels) args.fault("block_type", absl::StrCat("must have ", levels, " entries"));
}

void parse_resampling(JsonArgs& args, bool decoder, ScVaeConfig& config) {
  const std::map<std::string, Resampling> known =
      decoder ? std::map<std::string, Resampling>{{"SparseResBlockC2S3d", Resampling::kChannels},
                                                  {"SparseResBlockUpsample3d", Resampling::kPooling}}
              : std::map<std::string, Resampling>{{"SparseResBlockS2C3d", Resampling::kChannels},
                                                  {"SparseResBlockDownsample3d", Resampling::kPooling}};
  std::vector<std::string> names, allowed;
  for (const auto& [name, kind] : known) allowed.push_back(name);
  const char* field = decoder ? "up_block_type" : "down_block_type";
  args.texts(field, names, allowed, kMostLevels);
  if (names.size() + 1 != config.model_channels.size()) {
    return args.fault(field, "must have one entry fewer than model_channels");
  }
  for (const auto& name : names) {
    if (const auto found = known.find(name); found != known.end()) config.resampling.push_back(found->second);
  }
}

// The blocks take no argument that changes the result.
void check_block_args(JsonArgs& args, const nlohmann::json& object, size_t levels) {
  args.ignore("block_args");
  const auto found = args.has("block_args") ? object["block_args"] : nlohmann::json::array();
  if (!found.is_array() || found.size() != levels) {
    return args.fault("block_args", absl::StrCat("must be ", levels, " objects"));
  }
  for (const auto& block : found) {
    for (const auto& [name, value] : block.items()) {
      if (name != "use_checkpoint") return args.fault("block_args", absl::StrCat("has an unknown argument ", name));
    }
  }
}

// Channels that become cells must divide into eight, and the shortcuts group whole channels.
void check_channels(JsonArgs& args, bool decoder, const ScVaeConfig& config) {
  for (size_t level = 0; level < config.resampling.size(); ++level) {
    if (config.resampling[level] != Resampling::kChannels) continue;
    const int64_t in = config.model_channels[level], out = config.model_channels[level + 1];
    const int64_t coarse = decoder ? in : out, fine = decoder ? out : in;
    if (coarse % 8 != 0 || 8 * fine % coarse != 0) {
      args.fault("model_channels", absl::StrCat("cannot go from ", in, " to ", out, ": the coarser level's ", coarse,
                                                " must be a multiple of 8 and divide 8 times the finer level's"));
    }
  }
}

}  // namespace

Result<ScVaeConfig> ScVaeConfig::parse(const nlohmann::json& object) {
  ScVaeConfig config;
  JsonArgs args(object, "sparse VAE arguments");
  const bool decoder = args.has("up_block_type");
  config.io_channels = decoder ? kDualGridOutputs : kDualGridInputs;
  args.integer(decoder ? "out_channels" : "in_channels", config.io_channels, 1, kMostScVaeChannels);
  args.integer("latent_channels", config.latent_channels, 1, kMostScVaeChannels, true);
  args.integers("model_channels", config.model_channels, 1, kMostScVaeChannels, kMostLevels);
  args.integers("num_blocks", config.num_blocks, 0, kMostScVaeBlocks, kMostLevels);
  const size_t levels = config.model_channels.size();
  if (config.num_blocks.size() != levels) args.fault("num_blocks", absl::StrCat("must have ", levels, " entries"));
  parse_block_types(args, levels);
  parse_resampling(args, decoder, config);
  check_block_args(args, object, levels);
  bool use_fp16 = false;
  args.boolean("use_fp16", use_fp16);
  config.dtype = use_fp16 ? at::kHalf : at::kFloat;
  if (decoder) {
    args.boolean("pred_subdiv", config.predicts_subdivision);
    args.number("voxel_margin", config.voxel_margin, 0, 16);
    args.ignore("resolution");
  }
  check_channels(args, decoder, config);
  ESP_TRY(args.status(/*reject_unknown=*/true));
  return config;
}

}  // namespace espalier::nn
