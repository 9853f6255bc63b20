#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/status.h"
#include "nano/latent_kinds.h"
#include "nano/recipe.h"
#include "nano/voxel_grids.h"
#include "nn/networks/sc_vae.h"
#include "nn/parameters.h"
#include "train/loop.h"

// What the trainings of both VAEs of structured latents share.
namespace espalier::nano {

struct ScVae {
  nn::TensorMap encoder_parameters, decoder_parameters;
  std::unique_ptr<nn::ScVaeEncoder> encoder;
  std::unique_ptr<nn::ScVaeDecoder> decoder;
};

// The nano base's VAE of a kind with initial weights.
Result<ScVae> fresh_vae(const LatentKind& kind, uint64_t seed);

// Voxels that went through the latent and back. All with graph.
struct LedDecode {
  at::Tensor input;                      // [T, in] what the encoder saw, on the rows of `output`
  at::Tensor output;                     // [T, out]
  std::vector<at::Tensor> subdivisions;  // by level, bool [N, 8]: the input's own
  std::vector<at::Tensor> predictions;   // logits of them; empty when the decoder predicts none
  at::Tensor kl;                         // of the posterior from N(0, 1), mean over the latent's numbers
};

// The decoder is led along the input's own voxels, so that every prediction has a right answer. `noise`, one stream per
// grid, draws the latent from the posterior.
LedDecode led_decode(const LatentKind& kind, const ScVae& vae, std::span<const VoxelGrid> grids,
                     std::span<const PhiloxStream> noise);

struct VaeObjective {
  // Changes the values of a part's voxels; may be null.
  std::function<VoxelGrid(VoxelGrid part, PhiloxStream& random)> augment;
  // Scalar with graph of what led_decode() gave.
  std::function<at::Tensor(const ScVae& vae, const LedDecode& decode)> loss;
  std::function<train::ValidationReport(const ScVae& vae, std::span<const VoxelGrid> held)> validate;
  double first_log_variance = 0;  // of the posterior: little noise at first lets a decoder learn to go by the latent
};

// Trains the kind's VAE from its first weights, on parts of its grids, and saves both halves in the base.
Status train_vae(const Recipe& recipe, const LatentKind& kind, const VaeObjective& objective);

}  // namespace espalier::nano
