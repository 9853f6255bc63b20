#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>

#include "common/status.h"
#include "infer/networks.h"
#include "infer/pipeline.h"
#include "infer/shape.h"

namespace espalier::nano {

// One sample of a shape: infer::sample_shape() with `params`, then infer::decode_shape().
//   cells       [T, 4] int32 on the grid that the pipeline starts from
//   conditions  tier -> [1, L, C] image tokens, for each tier of the pipeline
Result<infer::DecodedShape> generated_shape(const infer::Networks& networks, const infer::SamplerParams& params,
                                            const infer::Pipeline& pipeline, const at::Tensor& cells,
                                            const std::map<int, at::Tensor>& conditions, uint64_t seed);

// Occupied cells [S, S, S] bool as the rows [T, 4] int32 of one sample on a grid of `side` cells, which divides S.
at::Tensor occupied_cells(const at::Tensor& occupancy, int64_t side);

}  // namespace espalier::nano
