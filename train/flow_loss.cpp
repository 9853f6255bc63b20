#include "train/flow_loss.h"

#include <torch/types.h>

#include <cmath>
#include <numeric>
#include <utility>

namespace espalier::train {

float draw_time(const TimeDistribution& distribution, PhiloxStream random) {
  // Kept off 0 and 1, which float32 rounding could reach.
  constexpr double kEdge = 1e-7;
  double t = 0;
  if (distribution.kind == TimeDistribution::Kind::kUniform) {
    t = random.uniform();
  } else {
    t = 1 / (1 + std::exp(-(distribution.std * random.normal() + distribution.mean)));
  }
  return static_cast<float>(std::min(std::max(t, kEdge), 1 - kEdge));
}

namespace {

// A value per row or sample, [n], shaped to multiply `like` [n, …].
at::Tensor over_rows(const at::Tensor& values, const at::Tensor& like) {
  TORCH_CHECK(values.dim() == 1 && values.size(0) == like.size(0), "one value per row is needed: [", like.size(0),
              "], got ", values.sizes());
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = values.size(0);
  return values.view(shape);
}

int64_t rows_of(const FlowSamples& samples, int64_t i) {
  return samples.offsets[static_cast<size_t>(i) + 1] - samples.offsets[static_cast<size_t>(i)];
}

// t [n] -> [rows].
at::Tensor row_times(const FlowSamples& samples, const at::Tensor& t) {
  if (samples.rows() == samples.size()) return t;
  std::vector<at::Tensor> times;
  for (int64_t i = 0; i < samples.size(); ++i) times.push_back(t[i].expand({rows_of(samples, i)}));
  return at::cat(times);
}

FlowDraws draw(const FlowTask& task, const FlowSamples& samples, std::span<const SampleRef> refs) {
  const int64_t n = samples.size();
  FlowDraws draws{{}, torch::empty({n}, torch::kFloat32), torch::empty({n}, torch::kBool)};
  std::vector<at::Tensor> noises;
  for (int64_t i = 0; i < n; ++i) {
    const auto& ref = refs[static_cast<size_t>(i)];
    const auto random = [&](Purpose purpose) { return random_stream(task.seed, purpose, ref.step, ref.slot); };
    draws.t.data_ptr<float>()[i] = draw_time(task.time, random(Purpose::kTime));
    draws.drop.data_ptr<bool>()[i] = random(Purpose::kConditionDrop).uniform() < task.condition_dropout;
    noises.push_back(sample_noise(samples, i, random(Purpose::kNoise)));
  }
  draws.t = draws.t.to(samples.x0.device());
  draws.noise = at::cat(noises).to(samples.x0.device());
  return draws;
}

}  // namespace

FlowSamples dense_samples(at::Tensor x0) {
  std::vector<int64_t> offsets(static_cast<size_t>(x0.size(0)) + 1);
  std::iota(offsets.begin(), offsets.end(), 0);
  return {std::move(x0), std::move(offsets), {}, {}};
}

FlowSamples structured_samples(const std::vector<at::Tensor>& feats, const std::vector<at::Tensor>& coords) {
  TORCH_CHECK(!feats.empty() && feats.size() == coords.size(), "one set of coordinates per sample is needed");
  FlowSamples samples{at::cat(feats), {0}, {}, {}};
  std::vector<at::Tensor> cells;
  for (size_t i = 0; i < coords.size(); ++i) {
    TORCH_CHECK(coords[i].size(0) == feats[i].size(0), "sample ", i, " has ", feats[i].size(0), " rows, but ",
                coords[i].size(0), " coordinates");
    samples.offsets.push_back(samples.offsets.back() + feats[i].size(0));
    cells.push_back(at::constant_pad_nd(coords[i], {1, 0}, static_cast<int64_t>(i)));
  }
  samples.coords = at::cat(cells);
  return samples;
}

at::Tensor noised(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t, double sigma_min) {
  const auto time = over_rows(t, x0);
  return (1 - time) * x0 + (sigma_min + (1 - sigma_min) * time) * noise;
}

at::Tensor flow_target(const at::Tensor& x0, const at::Tensor& noise, double sigma_min) {
  return (1 - sigma_min) * noise - x0;
}

at::Tensor drop_condition(const at::Tensor& condition, const at::Tensor& drop) {
  return at::where(over_rows(drop, condition), at::zeros({}, condition.options()), condition);
}

at::Tensor normal_noise(at::IntArrayRef shape, PhiloxStream random) {
  auto noise = torch::empty(shape, torch::kFloat32);
  auto* values = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) values[i] = static_cast<float>(random.normal());
  return noise;
}

at::Tensor sample_noise(const FlowSamples& samples, int64_t i, PhiloxStream random) {
  auto shape = samples.x0.sizes().vec();
  shape[0] = rows_of(samples, i);
  return normal_noise(shape, random);
}

at::Tensor flow_velocity(const FlowTask& task, const FlowSamples& samples, const FlowDraws& draws,
                         const at::Tensor& condition) {
  const auto x_t = noised(samples.x0, draws.noise, row_times(samples, draws.t), task.sigma_min);
  return task.predict(samples, x_t, draws.t * kTimeScale, condition);
}

at::Tensor flow_loss(const FlowTask& task, const FlowSamples& samples, const FlowDraws& draws,
                     const at::Tensor& condition) {
  const auto velocity = flow_velocity(task, samples, draws, condition);
  return at::mse_loss(velocity.to(torch::kFloat32), flow_target(samples.x0, draws.noise, task.sigma_min));
}

at::Tensor flow_loss(const FlowTask& task, std::span<const SampleRef> refs) {
  const auto samples = task.samples(refs);
  const auto condition = task.conditions(refs);  // [n, L, W]
  const auto draws = draw(task, samples, refs);
  return flow_loss(task, samples, draws, drop_condition(condition, draws.drop.to(condition.device())));
}

}  // namespace espalier::train
