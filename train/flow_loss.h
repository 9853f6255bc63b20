#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>

#include "train/random.h"

// The flow-matching loss. With noise e ~ N(0, 1), time t in (0, 1) and sigma = sigma_min:
//
//   x_t = (1 - t) x_0 + (sigma + (1 - sigma) t) e,   target = (1 - sigma) e - x_0,
//   loss = mean((model(x_t, 1000 t, condition) - target)^2)
//
// Reference: TRELLIS.2 trellis2/trainers/flow_matching/flow_matching.py.
namespace espalier::train {

inline constexpr double kSigmaMin = 1e-5;
inline constexpr double kTimeScale = 1000;  // the networks take 1000 t

struct TimeDistribution {
  enum class Kind { kUniform, kLogitNormal };
  Kind kind = Kind::kUniform;
  double mean = 0, std = 1;  // of the logit

  // Sparse structure uses the logit-normal (1, 1), the other denoisers the uniform.
  static TimeDistribution logit_normal(double mean, double std) { return {Kind::kLogitNormal, mean, std}; }
};

// In (0, 1), float32 precision.
float draw_time(const TimeDistribution& distribution, PhiloxStream random);

// x_0, noise: [n, …] float32; t: [n].
at::Tensor noised(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t, double sigma_min = kSigmaMin);
at::Tensor flow_target(const at::Tensor& x0, const at::Tensor& noise, double sigma_min = kSigmaMin);

// condition [n, L, W] with the samples where drop[i] (bool [n]) replaced by zeros.
at::Tensor drop_condition(const at::Tensor& condition, const at::Tensor& drop);

// What a dense flow is trained on. All three run inside the graph.
struct FlowTask {
  // x_0 of the samples, [n, C, r, r, r] float32 on the training device, no gradient needed.
  std::function<at::Tensor(std::span<const SampleRef>)> latents;
  // Condition tokens of the samples, [n, L, W]. May carry a graph (an encoder trained along).
  std::function<at::Tensor(std::span<const SampleRef>)> conditions;
  // (x_t, 1000 t [n], condition) -> velocity, like x_t.
  std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&)> predict;
  TimeDistribution time;
  double condition_dropout = 0.1;
  double sigma_min = kSigmaMin;
  uint64_t seed = 0;
};

// Mean loss of the samples, scalar float32; noise, times and dropout come from random_stream(seed, …, step, slot).
at::Tensor flow_loss(const FlowTask& task, std::span<const SampleRef> samples);

// N(0, 1) of a shape without the sample dimension, float32 on the CPU.
at::Tensor normal_noise(at::IntArrayRef shape, PhiloxStream random);

}  // namespace espalier::train
