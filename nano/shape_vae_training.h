#pragma once

#include <memory>
#include <span>

#include "common/status.h"
#include "nano/shape_grids.h"
#include "nn/networks/sc_vae.h"
#include "nn/parameters.h"

namespace espalier::nano {

struct ShapeVae {
  nn::TensorMap encoder_parameters, decoder_parameters;
  std::unique_ptr<nn::ScVaeEncoder> encoder;
  std::unique_ptr<nn::ScVaeDecoder> decoder;
};

// The nano base's shape VAE with initial weights.
Result<ShapeVae> fresh_shape_vae(uint64_t seed);

// The parts of the VAE's loss, scalars with graph.
struct ShapeLoss {
  at::Tensor flags;        // cross-entropy of the edge flags
  at::Tensor vertices;     // squared error of the dual vertices, in voxels
  at::Tensor subdivision;  // sum over the levels of the cross-entropy of which children exist
  at::Tensor kl;           // mean over the latent's numbers
  at::Tensor split;        // (split weight - 1)^2: no part of the loss says what it should be

  at::Tensor total() const;
};

// The decoder is led along the input's own voxels, so that every prediction has a right answer. `noise`, one stream per
// grid, draws the latent from the posterior.
ShapeLoss shape_vae_loss(const ShapeVae& vae, std::span<const ShapeGrid> grids, std::span<const PhiloxStream> noise);

}  // namespace espalier::nano
