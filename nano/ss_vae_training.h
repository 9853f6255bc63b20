#pragma once

#include "nn/parameters.h"

namespace espalier::nano {

// Divides the encoder's means by `std` and multiplies the decoder's input by it, inside the weights: the pipeline has
// no normalisation for this latent, so unit spread has to be the network's own. Exact up to rounding; the log-variance
// follows. Only a scale, because a shift would not survive the convolutions' zero padding.
// encoder and decoder are changed in place.
void fold_latent_std(nn::TensorMap& encoder, nn::TensorMap& decoder, double std);

}  // namespace espalier::nano
