#pragma once

#include "nano/vae_training.h"

namespace espalier::nano {

// The parts of the shape VAE's loss, scalars with graph.
struct ShapeLoss {
  at::Tensor flags;        // cross-entropy of the edge flags
  at::Tensor vertices;     // squared error of the dual vertices, in voxels
  at::Tensor subdivision;  // sum over the levels of the cross-entropy of which children exist
  at::Tensor kl;           // mean over the latent's numbers
  at::Tensor split;        // (split weight - 1)^2: no part of the loss says what it should be

  at::Tensor total() const;
};

ShapeLoss shape_vae_loss(const ScVae& vae, const LedDecode& decode);

}  // namespace espalier::nano
