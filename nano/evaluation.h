#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/status.h"
#include "infer/samplers/flow_euler.h"
#include "nn/io/base_model.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"

// How well generated occupancy agrees with an object's own.
namespace espalier::nano {

// Intersection over union of bool [N, S, S, S], float32 [N]; 1 where both are empty.
at::Tensor iou(const at::Tensor& got, const at::Tensor& want);

// Harmonic mean of the share of `got` cells within one cell (diagonals included) of a `want` cell, and the reverse.
// bool [N, S, S, S] -> float32 [N]; 0 where either is empty.
at::Tensor f1_within_one(const at::Tensor& got, const at::Tensor& want);

// The fixed occupancy [S, S, S] that agrees best, in mean IoU, with all of `examples` [N, S, S, S]: their mean, cut at
// the best of 19 levels.
at::Tensor best_constant(const at::Tensor& examples);

// For each picture [N, 3, W, W] (any type, one scale) the index of the nearest of `known` [M, 3, W, W], by the squared
// difference of both averaged to 32 x 32. int64 [N].
at::Tensor nearest_pictures(const at::Tensor& pictures, const at::Tensor& known);

// Settings of a base's pipeline.json, as the sampler takes them.
infer::SamplerParams sampler_params(const nn::SamplerDefaults& defaults);

// Generates occupancy bool [N, S, S, S] from condition tokens [N, L, C]; noise depends on `seed` and the index only.
Result<at::Tensor> sample_occupancy(const nn::SparseStructureFlow& flow, const nn::SparseStructureDecoder& decoder,
                                    const at::Tensor& tokens, const infer::SamplerParams& params, uint64_t seed);

}  // namespace espalier::nano
