#include "nano/architecture.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace espalier::nano {
namespace {

constexpr int kAttributeChannels = 6;  // base colour, metallic, roughness, alpha
constexpr size_t kVaeLevels = 5;       // four halvings: a latent cell has 16 voxels per side

nlohmann::json same_for_levels(const nlohmann::json& value, size_t count) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < count; ++i) list.push_back(value);
  return list;
}

// All denoisers of the base are alike but for what they see and how deep they are.
// `given`: channels beside the latent's own.
nlohmann::json flow_config(const char* name, int resolution, int channels, int blocks, int given = 0) {
  return {{"name", name},
          {"args",
           {{"resolution", resolution},
            {"in_channels", channels + given},
            {"out_channels", channels},
            {"model_channels", 128},
            {"cond_channels", 128},
            {"num_blocks", blocks},
            {"num_heads", 4},
            {"mlp_ratio", 4},
            {"pe_mode", "rope"},
            {"share_mod", true},
            {"initialization", "scaled"},
            {"qk_rms_norm", true},
            {"qk_rms_norm_cross", true},
            {"dtype", "float32"}}}};
}

// What both halves of the VAEs of structured latents have. `resampling` names the argument and the block between two
// levels.
nlohmann::json vae_args(const nlohmann::json& channels, const nlohmann::json& blocks,
                        std::pair<const char*, const char*> resampling) {
  return {{"model_channels", channels},
          {"latent_channels", kStructuredLatentChannels},
          {"num_blocks", blocks},
          {"block_type", same_for_levels("SparseConvNeXtBlock3d", kVaeLevels)},
          {resampling.first, same_for_levels(resampling.second, kVaeLevels - 1)},
          {"block_args", same_for_levels(nlohmann::json::object(), kVaeLevels)},
          {"use_fp16", false}};
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

nlohmann::json ss_flow_config() { return flow_config("SparseStructureFlowModel", kLatentSide, kLatentChannels, 6); }

nlohmann::json shape_encoder_config() {
  return {{"name", "FlexiDualGridVaeEncoder"},
          {"args", vae_args({8, 16, 32, 32, 32}, {0, 1, 1, 1, 1}, {"down_block_type", "SparseResBlockS2C3d"})}};
}

nlohmann::json shape_decoder_config() {
  nlohmann::json args = vae_args({32, 32, 32, 16, 8}, {1, 1, 1, 1, 0}, {"up_block_type", "SparseResBlockC2S3d"});
  args["resolution"] = kVoxelResolution;
  return {{"name", "FlexiDualGridVaeDecoder"}, {"args", args}};
}

nlohmann::json shape_flow_config() {
  return flow_config("SLatFlowModel", kVoxelResolution / 16, kStructuredLatentChannels, 5);
}

// Cells are merged and split by means and copies. Packing children into channels, as the shape's VAE and the released
// ones do, passes on an eighth of a block's width per voxel, which is too little for six attributes at these widths:
// such a VAE learned next to nothing in 500 updates.
nlohmann::json texture_encoder_config() {
  nlohmann::json args =
      vae_args({8, 16, 32, 64, 64}, {0, 1, 1, 1, 1}, {"down_block_type", "SparseResBlockDownsample3d"});
  args["in_channels"] = kAttributeChannels;
  return {{"name", "SparseUnetVaeEncoder"}, {"args", args}};
}

nlohmann::json texture_decoder_config() {
  nlohmann::json args = vae_args({64, 64, 32, 16, 16}, {1, 1, 1, 1, 0}, {"up_block_type", "SparseResBlockUpsample3d"});
  args["out_channels"] = kAttributeChannels;
  args["pred_subdiv"] = false;  // it is led by the shape decoder's
  return {{"name", "SparseUnetVaeDecoder"}, {"args", args}};
}

nlohmann::json texture_flow_config() {
  return flow_config("SLatFlowModel", kVoxelResolution / 16, kStructuredLatentChannels, 4, kStructuredLatentChannels);
}

}  // namespace espalier::nano
