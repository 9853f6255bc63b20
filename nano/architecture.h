#pragma once

#include <nlohmann/json_fwd.hpp>

// The nano base's sizes, in the JSON that is written beside the weights. All parts have the official architectures.
namespace espalier::nano {

inline constexpr int kImageSize = 128;           // pixels per side of a condition image (512 * grid_scale)
inline constexpr int kOccupancySide = 16;        // cells per side (64 * grid_scale)
inline constexpr int kVoxelResolution = 256;     // voxels per side of the highest tier (1024 * grid_scale)
inline constexpr int kLowVoxelResolution = 128;  // and of the lowest (512 * grid_scale)
inline constexpr int kLatentSide = 4;            // cells per side of the sparse-structure latent
inline constexpr int kLatentChannels = 8;
inline constexpr int kStructuredLatentChannels = 32;
inline constexpr double kGridScale = 0.25;

// config.json of the image encoder (Hugging Face DINOv3ViTModel).
nlohmann::json image_encoder_config();
// {"name", "args"} of the model files.
nlohmann::json ss_encoder_config();
nlohmann::json ss_decoder_config();
nlohmann::json ss_flow_config();
nlohmann::json shape_encoder_config();
nlohmann::json shape_decoder_config();
nlohmann::json shape_flow_config();  // of both tiers
nlohmann::json texture_encoder_config();
nlohmann::json texture_decoder_config();
nlohmann::json texture_flow_config();  // of both tiers

}  // namespace espalier::nano
