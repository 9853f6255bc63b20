#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "nn/io/base_model.h"
#include "nn/networks/sc_vae.h"

// The training objects in the shape VAE's latent space.
namespace espalier::nano {

struct StructuredLatent {
  at::Tensor coords;  // [T, 3] int32, ascending
  at::Tensor feats;   // [T, 32] float32, as the encoder gives them
};

struct ShapeLatents {
  std::vector<StructuredLatent> objects;
  std::vector<StructuredLatent> mirrored;  // the same of the mirrored objects, in their canonical pose
};

struct LatentConfig {
  uint64_t seed = 0;  // of the objects
  uint32_t objects = 0;
  int resolution = 0;  // voxels per side
  int threads = 2;
  std::string encoder_sha256;  // of the encoder's weights: other weights, other latents
  std::filesystem::path file;  // made when missing or made with other settings
};

Result<ShapeLatents> load_or_make_shape_latents(const nn::ScVaeEncoder& encoder, const LatentConfig& config);

// Mean and standard deviation of each channel over all cells of all objects.
nn::LatentNormalization latent_statistics(const ShapeLatents& latents);

// feats [T, C] of a latent in the space of a denoiser.
at::Tensor normalized(const at::Tensor& feats, const nn::LatentNormalization& statistics);

}  // namespace espalier::nano
