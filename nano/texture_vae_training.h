#pragma once

#include "nano/vae_training.h"

namespace espalier::nano {

// The voxels of a texture part in random cubes, in each of which every attribute is turned into another by a random
// linear map: hundreds of colours where an object has a few. Alpha stays as it is in most.
VoxelGrid patchwork(VoxelGrid part, PhiloxStream& random);

// Mean absolute error of the six attributes in [-1, 1] and a little of the latent's divergence; scalar with graph.
at::Tensor texture_vae_loss(const LedDecode& decode);

}  // namespace espalier::nano
