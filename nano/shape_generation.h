#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>

#include "common/status.h"
#include "infer/adapters.h"
#include "infer/pipeline.h"
#include "infer/shape.h"
#include "nn/io/base_model.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"

namespace espalier::nano {

// The shape part of a base, for judging it: one picture, one sample at a time.
class ShapeGenerator {
 public:
  // Errors of nn/io/load_model.h.
  static Result<ShapeGenerator> load(const nn::BaseModel& base);

  // As infer::sample_shape() and infer::decode_shape(). `cells` [T, 4] int32 on the pipeline's structure grid, or on
  // the latent grid of its tier where it is no cascade.
  Result<infer::DecodedShape> generate(const infer::Pipeline& pipeline, const at::Tensor& cells,
                                       const std::map<int, at::Tensor>& conditions,
                                       const infer::RequestAdapters& adapters, uint64_t seed) const;

  nn::SLatFlow& flow(int tier) const { return *flows_.at(tier); }
  const nn::ScVaeDecoder& decoder() const { return *decoder_; }
  infer::SamplerParams& sampler() { return params_; }  // the base's, unless changed

 private:
  std::map<int, std::shared_ptr<nn::SLatFlow>> flows_;
  std::shared_ptr<nn::ScVaeDecoder> decoder_;
  infer::SamplerParams params_;
  nn::LatentNormalization normalization_;
  double grid_scale_ = 1;
};

// Occupied cells [S, S, S] bool as the rows [T, 4] int32 of one sample on a grid of `side` cells, which divides S.
at::Tensor occupied_cells(const at::Tensor& occupancy, int64_t side);

}  // namespace espalier::nano
