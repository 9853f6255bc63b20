#include "nano/architecture.h"

#include <nlohmann/json.hpp>

namespace espalier::nano {
namespace {

constexpr size_t kShapeLevels = 5;  // four halvings: a latent cell has 16 voxels per side

nlohmann::json same_for_levels(const nlohmann::json& value, size_t count) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < count; ++i) list.push_back(value);
  return list;
}

}  // namespace

nlohmann::json image_encoder_config() {
  return {{"architectures", {"DINOv3ViTModel"}},
          {"model_type", "dinov3_vit"},
          {"image_size", kImageSize},
          {"patch_size", 16},
          {"num_channels", 3},
          {"hidden_size", 128},
          {"intermediate_size", 512},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_register_tokens", 4},
          {"hidden_act", "gelu"},
          {"layer_norm_eps", 1e-5},
          {"layerscale_value", 1.0},
          {"rope_theta", 100.0},
          {"query_bias", true},
          {"key_bias", false},
          {"value_bias", true},
          {"proj_bias", true},
          {"mlp_bias", true},
          {"use_gated_mlp", false}};
}

nlohmann::json ss_encoder_config() {
  return {{"name", "SparseStructureEncoder"},
          {"args",
           {{"in_channels", 1},
            {"latent_channels", kLatentChannels},
            {"num_res_blocks", 1},
            {"num_res_blocks_middle", 1},
            {"channels", {16, 32, 64}},
            {"use_fp16", false}}}};
}

nlohmann::json ss_decoder_config() {
  return {{"name", "SparseStructureDecoder"},
          {"args",
           {{"out_channels", 1},
            {"latent_channels", kLatentChannels},
            {"num_res_blocks", 1},
            {"num_res_blocks_middle", 1},
            {"channels", {64, 32, 16}},
            {"use_fp16", false}}}};
}

nlohmann::json ss_flow_config() {
  return {{"name", "SparseStructureFlowModel"},
          {"args",
           {{"resolution", kLatentSide},
            {"in_channels", kLatentChannels},
            {"out_channels", kLatentChannels},
            {"model_channels", 128},
            {"cond_channels", 128},
            {"num_blocks", 6},
            {"num_heads", 4},
            {"mlp_ratio", 4},
            {"pe_mode", "rope"},
            {"share_mod", true},
            {"initialization", "scaled"},
            {"qk_rms_norm", true},
            {"qk_rms_norm_cross", true},
            {"dtype", "float32"}}}};
}

nlohmann::json shape_encoder_config() {
  return {{"name", "FlexiDualGridVaeEncoder"},
          {"args",
           {{"model_channels", {8, 16, 32, 32, 32}},
            {"latent_channels", kShapeLatentChannels},
            {"num_blocks", {0, 1, 1, 1, 1}},
            {"block_type", same_for_levels("SparseConvNeXtBlock3d", kShapeLevels)},
            {"down_block_type", same_for_levels("SparseResBlockS2C3d", kShapeLevels - 1)},
            {"block_args", same_for_levels(nlohmann::json::object(), kShapeLevels)},
            {"use_fp16", false}}}};
}

nlohmann::json shape_decoder_config() {
  return {{"name", "FlexiDualGridVaeDecoder"},
          {"args",
           {{"resolution", kVoxelResolution},
            {"model_channels", {32, 32, 32, 16, 8}},
            {"latent_channels", kShapeLatentChannels},
            {"num_blocks", {1, 1, 1, 1, 0}},
            {"block_type", same_for_levels("SparseConvNeXtBlock3d", kShapeLevels)},
            {"up_block_type", same_for_levels("SparseResBlockC2S3d", kShapeLevels - 1)},
            {"block_args", same_for_levels(nlohmann::json::object(), kShapeLevels)},
            {"use_fp16", false}}}};
}

nlohmann::json shape_flow_config() {
  return {{"name", "SLatFlowModel"},
          {"args",
           {{"resolution", kVoxelResolution / 16},
            {"in_channels", kShapeLatentChannels},
            {"out_channels", kShapeLatentChannels},
            {"model_channels", 128},
            {"cond_channels", 128},
            {"num_blocks", 5},
            {"num_heads", 4},
            {"mlp_ratio", 4},
            {"pe_mode", "rope"},
            {"share_mod", true},
            {"initialization", "scaled"},
            {"qk_rms_norm", true},
            {"qk_rms_norm_cross", true},
            {"dtype", "float32"}}}};
}

}  // namespace espalier::nano
