#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/status.h"
#include "nn/parameters.h"

namespace espalier::nano {

// Checkpoint stems of the base, relative to its folder; those of structured latents are in nano/latent_kinds.h.
inline constexpr char kSsEncoderStem[] = "ckpts/ss_enc_conv3d_nano_fp16";
inline constexpr char kSsDecoderStem[] = "ckpts/ss_dec_conv3d_nano_fp16";
inline constexpr char kSsFlowStem[] = "ckpts/ss_flow_img_dit_nano_fp16";
inline constexpr char kImageEncoderFolder[] = "image_encoder";

// Writes config (JSON) and weights, rounded to float16. Folders are made.
Status save_model(const std::filesystem::path& config_path, const nlohmann::json& config,
                  const std::filesystem::path& weights_path, const nn::TensorMap& parameters);

// `<stem>.json` and `<stem>.safetensors` of a base.
Status save_checkpoint(const std::filesystem::path& base, std::string_view stem, const nlohmann::json& config,
                       const nn::TensorMap& parameters);
Result<nn::TensorMap> load_checkpoint(const std::filesystem::path& base, std::string_view stem);

// Weights as own float32 tensors.
Result<nn::TensorMap> load_weights(const std::filesystem::path& path);

// Tensors whose key starts with `prefix`, without it; and the reverse.
nn::TensorMap without_prefix(const nn::TensorMap& tensors, const std::string& prefix);
void add_with_prefix(nn::TensorMap& to, const nn::TensorMap& tensors, const std::string& prefix);

}  // namespace espalier::nano
