#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "common/status.h"
#include "infer/samplers/params.h"

// Euler integration of a flow model from noise to data, with classifier-free guidance inside an interval of times and
// rescaling of the guided prediction.
//
// Interpolation: x_t = (1 - t) x0 + (s + (1 - s) t) noise with s = sigma_min; the network predicts the velocity
// (1 - s) noise - x0. Scalars are combined in float64 and meet the tensors as float32.
// Reference: TRELLIS.2 trellis2/pipelines/samplers/*.py.
namespace espalier::infer {

enum class Conditioning { kImage, kNothing };

// One network evaluation: x as the noise, t1000 = 1000 t -> velocity, shaped like x. What the condition is (tokens of
// one or several images, concatenated channels) is the callee's matter; kNothing stands for its zeros.
using Predict = std::function<at::Tensor(const at::Tensor& x, float t1000, Conditioning)>;

struct SamplerHooks {
  std::function<void(int done, int total)> progress;                               // after each network evaluation
  std::function<void(int step, const at::Tensor& x, const at::Tensor& x0)> trace;  // after each step
  std::stop_token stop;  // looked at before each network evaluation
};

// How many network evaluations `sample` makes.
int evaluations(const SamplerParams& params);

// noise    dense [B, C, ...] float32 with `lengths` empty, or the rows of a sparse batch [N, C] float32
// lengths  rows of each sample of a sparse batch, adding up to N; rows of a sample are contiguous
// returns  the sample, shaped like noise
//
// Guided steps evaluate the condition first, then nothing. CANCELLED when stopped; INVALID_ARGUMENT: steps < 1.
Result<at::Tensor> sample(const Predict& predict, const at::Tensor& noise, const SamplerParams& params,
                          const std::vector<int64_t>& lengths = {}, const SamplerHooks& hooks = {});

}  // namespace espalier::infer
