#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "train/random.h"

// The flow-matching loss. With noise e ~ N(0, 1), time t in (0, 1) and sigma = sigma_min:
//
//   x_t = (1 - t) x_0 + (sigma + (1 - sigma) t) e,   target = (1 - sigma) e - x_0,
//   loss = mean((model(x_t, 1000 t, condition) - target)^2)
//
// where the mean is over all numbers of all samples: an object with more tokens weighs more.
// Reference: TRELLIS.2 trellis2/trainers/flow_matching/{flow_matching,sparse_flow_matching}.py.
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

// The clean latents of a loss call, as rows. Dense: a sample is one row [C, r, r, r]. Structured: a sample is the rows
// [C] of its occupied cells, normalised; rows of a sample are contiguous.
struct FlowSamples {
  at::Tensor x0;                 // [n, C, r, r, r] or [T, C] float32 on the training device, no gradient needed
  std::vector<int64_t> offsets;  // n + 1: the rows of sample i are offsets[i] .. offsets[i + 1]
  at::Tensor coords;             // [T, 4] int32 (sample, x, y, z); undefined when dense
  at::Tensor concat;             // [T, K] clean channels beside x_t, or undefined

  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t rows() const { return offsets.back(); }
};

// x0 [n, C, r, r, r].
FlowSamples dense_samples(at::Tensor x0);
// Of each sample feats [T_i, C] and coords [T_i, 3] int32, T_i >= 1.
FlowSamples structured_samples(const std::vector<at::Tensor>& feats, const std::vector<at::Tensor>& coords);

// What is drawn for a loss call. All rows of a sample share its time.
struct FlowDraws {
  at::Tensor noise;  // like x0
  at::Tensor t;      // [n] float32
  at::Tensor drop;   // [n] bool: train this sample on the empty condition
};

// x_0, noise: [rows, …] float32; t: [rows].
at::Tensor noised(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t, double sigma_min = kSigmaMin);
at::Tensor flow_target(const at::Tensor& x0, const at::Tensor& noise, double sigma_min = kSigmaMin);

// condition [n, L, W] with the samples where drop[i] (bool [n]) replaced by zeros.
at::Tensor drop_condition(const at::Tensor& condition, const at::Tensor& drop);

// What a flow is trained on. All three run inside the graph.
struct FlowTask {
  std::function<FlowSamples(std::span<const SampleRef>)> samples;
  // Condition tokens of the samples, [n, L, W]. May carry a graph (an encoder trained along).
  std::function<at::Tensor(std::span<const SampleRef>)> conditions;
  // (samples, x_t, 1000 t [n], condition) -> velocity, like x_t.
  std::function<at::Tensor(const FlowSamples&, const at::Tensor&, const at::Tensor&, const at::Tensor&)> predict;
  TimeDistribution time;
  double condition_dropout = 0.1;
  double sigma_min = kSigmaMin;
  uint64_t seed = 0;
};

// Mean loss of the samples, scalar float32; noise, times and dropout come from random_stream(seed, …, step, slot), so
// that a sample's draws do not depend on which others are in the call.
at::Tensor flow_loss(const FlowTask& task, std::span<const SampleRef> samples);

// The pieces of it: the velocity predicted from x_t of the draws' noise and times (the condition as given), and its
// loss against the target.
at::Tensor flow_velocity(const FlowTask& task, const FlowSamples& samples, const FlowDraws& draws,
                         const at::Tensor& condition);
at::Tensor flow_loss(const FlowTask& task, const FlowSamples& samples, const FlowDraws& draws,
                     const at::Tensor& condition);

// N(0, 1) of a shape without the sample dimension, float32 on the CPU.
at::Tensor normal_noise(at::IntArrayRef shape, PhiloxStream random);
// The same for the rows of sample i, [rows of i, …].
at::Tensor sample_noise(const FlowSamples& samples, int64_t i, PhiloxStream random);

}  // namespace espalier::train
