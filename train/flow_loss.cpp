#include "train/flow_loss.h"

#include <torch/types.h>

#include <cmath>

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

// t [n] shaped to multiply [n, …].
at::Tensor over_samples(const at::Tensor& t, const at::Tensor& like) {
  TORCH_CHECK(t.dim() == 1 && t.size(0) == like.size(0), "t must be [", like.size(0), "], got ", t.sizes());
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = t.size(0);
  return t.view(shape);
}

}  // namespace

at::Tensor noised(const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t, double sigma_min) {
  const auto time = over_samples(t, x0);
  return (1 - time) * x0 + (sigma_min + (1 - sigma_min) * time) * noise;
}

at::Tensor flow_target(const at::Tensor& x0, const at::Tensor& noise, double sigma_min) {
  return (1 - sigma_min) * noise - x0;
}

at::Tensor drop_condition(const at::Tensor& condition, const at::Tensor& drop) {
  return at::where(over_samples(drop, condition), at::zeros({}, condition.options()), condition);
}

at::Tensor normal_noise(at::IntArrayRef shape, PhiloxStream random) {
  auto noise = torch::empty(shape, torch::kFloat32);
  auto* values = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) values[i] = static_cast<float>(random.normal());
  return noise;
}

at::Tensor flow_loss(const FlowTask& task, std::span<const SampleRef> samples) {
  const auto x0 = task.latents(samples);            // [n, C, r, r, r]
  const auto condition = task.conditions(samples);  // [n, L, W]
  const auto n = static_cast<int64_t>(samples.size());
  auto t = torch::empty({n}, torch::kFloat32);
  auto drop = torch::empty({n}, torch::kBool);
  std::vector<at::Tensor> noises;
  for (int64_t i = 0; i < n; ++i) {
    const auto& sample = samples[static_cast<size_t>(i)];
    const auto draws = [&](Purpose purpose) { return random_stream(task.seed, purpose, sample.step, sample.slot); };
    t.data_ptr<float>()[i] = draw_time(task.time, draws(Purpose::kTime));
    drop.data_ptr<bool>()[i] = draws(Purpose::kConditionDrop).uniform() < task.condition_dropout;
    noises.push_back(normal_noise(x0.sizes().slice(1), draws(Purpose::kNoise)));
  }
  t = t.to(x0.device());
  const auto noise = at::stack(noises).to(x0.device());
  const auto prediction = task.predict(noised(x0, noise, t, task.sigma_min), t * kTimeScale,
                                       drop_condition(condition, drop.to(condition.device())));
  return at::mse_loss(prediction.to(torch::kFloat32), flow_target(x0, noise, task.sigma_min));
}

}  // namespace espalier::train
