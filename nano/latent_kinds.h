#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "common/status.h"
#include "mesh/scene.h"
#include "nano/recipe.h"
#include "nano/view_batch.h"
#include "nano/voxel_grids.h"

// The two structured latents of an object, of its shape and of its texture: what differs between them is a row each.
namespace espalier::nano {

struct ModelFile {
  const char* key;   // in pipeline.json or espalier.json
  const char* stem;  // relative to the base's folder
};

struct LatentKind {
  const char* name;     // in those of steps and files
  uint64_t seed;        // added to the recipe's for all that is drawn for this kind
  bool is_given_shape;  // its denoiser is also given the shape latent of the same cells
  Colors colors;        // of the pictures that its denoiser learns from
  // The voxels of a normalised scene; `resolution` 1..256 per side. Errors as the functions of ovoxel.
  Result<VoxelGrid> (*grid)(const mesh::Scene& scene, int resolution);
  // The encoder's input, float32 [T, C], from the voxels' bytes.
  at::Tensor (*channels)(const at::Tensor& values);
  // What its VAE learns from, normalised.
  Result<mesh::Scene> (*vae_scene)(uint64_t seed, uint32_t index);
  ModelFile encoder, decoder;
  std::array<ModelFile, 2> flows;  // by kTiers
  nlohmann::json (*encoder_config)();
  nlohmann::json (*decoder_config)();
  nlohmann::json (*flow_config)();
  int64_t Recipe::*vae_steps;
  std::array<int64_t Recipe::*, 2> flow_steps;  // by kTiers; null: the lower tier's denoiser serves this one, too
};

extern const LatentKind kShape;
extern const LatentKind kTexture;

}  // namespace espalier::nano
