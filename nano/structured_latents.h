#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "nano/latent_kinds.h"
#include "nn/io/base_model.h"
#include "nn/networks/sc_vae.h"

// The training objects in the latent spaces of the VAEs of shape and texture.
namespace espalier::nano {

struct StructuredLatent {
  at::Tensor coords;  // [T, 3] int32, ascending
  at::Tensor feats;   // [T, 32] float32, as the encoder gives them
};

struct StructuredLatents {
  std::vector<StructuredLatent> objects;
  std::vector<StructuredLatent> mirrored;  // the same of the mirrored objects, in their canonical pose
};

// One of the base's encoders of structured latents.
struct LatentEncoder {
  const LatentKind* kind;
  std::unique_ptr<nn::ScVaeEncoder> network;
  std::string sha256;  // of its weights: other weights, other latents
};

// Errors of load_checkpoint().
Result<LatentEncoder> load_encoder(const LatentKind& kind, const std::filesystem::path& base);

struct LatentConfig {
  uint64_t seed = 0;  // of the objects
  uint32_t objects = 0;
  int resolution = 0;  // voxels per side
  int threads = 2;
  std::filesystem::path file;  // made when missing or made with other settings
};

Result<StructuredLatents> load_or_make_latents(const LatentEncoder& encoder, const LatentConfig& config);

// Mean and standard deviation of each channel over all cells of all objects.
nn::LatentNormalization latent_statistics(const StructuredLatents& latents);

// feats [T, C] of a latent in the space of a denoiser.
at::Tensor normalized(const at::Tensor& feats, const nn::LatentNormalization& statistics);
// And back.
at::Tensor denormalized(const at::Tensor& feats, const nn::LatentNormalization& statistics);

}  // namespace espalier::nano
