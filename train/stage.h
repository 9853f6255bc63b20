#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "train/flow_loss.h"

namespace espalier::train {

// What a denoiser learns: dense latents of the structure, or structured ones, of the shape or of the texture. A texture
// is learned beside its shape: the network also gets the clean shape latent of the same cells.
enum class LatentKind { kStructure, kShape, kTexture };

// An encoder whose latents a stage takes.
struct EncoderNames {
  std::string_view key;      // in the base model
  std::string_view dataset;  // in a dataset's manifest
};

// What differs between the denoisers, as data; the networks' face, the loop and the loss are shared.
struct Stage {
  std::string_view denoiser;  // name in requests, adapters and events, and of the dataset's part
  LatentKind latent = LatentKind::kStructure;
  std::string_view model_key[2];  // of the network in the base model, for tiers 512 and 1024
  std::vector<EncoderNames> encoders;
  TimeDistribution time;
  int batch_size[2];        // default samples of an update, by tier
  int condition_tier[2];    // pixels per side of the condition image (times grid_scale), by tier
  int64_t tokens_per_call;  // default most of a loss call, see LoopConfig::micro_tokens
};

// NOT_FOUND lists the denoisers this program trains.
Result<Stage> find_stage(std::string_view denoiser);
std::vector<std::string> trainable_denoisers();
inline int tier_index(int resolution) { return resolution == 1024 ? 1 : 0; }

}  // namespace espalier::train
