#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "infer/adapters.h"
#include "infer/stage.h"
#include "nn/io/base_model.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/sparse/sparse_tensor.h"

// What the stages of structured latents, shape and texture, have in common.
namespace espalier::infer {

// Gives each network of a latent when its turn comes; it is let go of when that is over.
struct LatentNetworks {
  std::function<Result<std::shared_ptr<nn::SLatFlow>>(int tier)> flow;
  std::function<Result<std::shared_ptr<nn::ScVaeDecoder>>()> decoder;
};

// One run of the sampler over the cells of a structured latent.
struct LatentPass {
  std::string_view stage;
  int64_t samples = 1;
  at::Tensor condition;  // [1, L, C] float32 image tokens on the network's device; the same for all samples
  SamplerParams params;
  nn::LatentNormalization normalization;  // of what is sampled
  at::Tensor concat{};                    // [T, Ck] that the network also sees at each cell; undefined: nothing
};

//   coords   [T, 4] int32 cells, samples in order
//   returns  feats [T, C] float32 in the decoder's space, on the condition's device
//
// The noise is one draw [T, in_channels - Ck]. Adapters act for this call only. CANCELLED: stopped.
Result<nn::SparseTensor> sample_latent(nn::SLatFlow& flow, const at::Tensor& coords, const LatentPass& pass,
                                       const std::vector<LoadedAdapter>& adapters, const Noise& noise,
                                       const StageHooks& hooks);

// feats [T, C] of the decoder's space in the network's: (feats - mean) / std.
at::Tensor normalised(const at::Tensor& feats, const nn::LatentNormalization& normalization);

// One sample of a latent, as a batch of one.
Result<nn::SparseTensor> single_sample(const nn::SparseTensor& cells, int64_t sample);

}  // namespace espalier::infer
