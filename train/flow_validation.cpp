#include "train/flow_validation.h"

#include <torch/types.h>

#include <algorithm>

namespace espalier::train {
namespace {

constexpr int kTimes = 9;
constexpr uint64_t kNoiseSeed = 0;  // not the run's: two runs see the same noise

double time_of(int index) { return (index + 1) / 10.0; }

double loss_at(const FlowTask& task, std::span<const SampleRef> samples, int time_index, double time) {
  const auto x0 = task.latents(samples);
  std::vector<at::Tensor> noises;
  for (const auto& sample : samples) {
    noises.push_back(normal_noise(x0.sizes().slice(1),
                                  random_stream(kNoiseSeed, Purpose::kValidationNoise, sample.slot, time_index)));
  }
  const auto noise = at::stack(noises).to(x0.device());
  const auto t = torch::full({x0.size(0)}, time, x0.options());
  const auto prediction = task.predict(noised(x0, noise, t, task.sigma_min), t * kTimeScale, task.conditions(samples));
  return at::mse_loss(prediction.to(torch::kFloat32), flow_target(x0, noise, task.sigma_min)).item<double>();
}

}  // namespace

ValidationReport fixed_noise_loss(const FlowTask& task, std::span<const SampleRef> samples, int64_t batch,
                                  Collective& collective, c10::Device device) {
  TORCH_CHECK(!samples.empty() && batch > 0, "nothing to validate on");
  at::NoGradGuard no_grad;
  auto losses = torch::zeros({kTimes}, torch::kFloat64);
  for (int i = collective.rank(); i < kTimes; i += collective.world_size()) {
    for (size_t begin = 0; begin < samples.size(); begin += static_cast<size_t>(batch)) {
      const auto part = samples.subspan(begin, std::min(static_cast<size_t>(batch), samples.size() - begin));
      losses[i] += loss_at(task, part, i + 1, time_of(i)) * static_cast<double>(part.size());
    }
  }
  losses = losses.to(device);
  collective.all_reduce_sum(losses);  // each has one summand that is not zero: exact
  losses = losses.cpu() / static_cast<double>(samples.size());
  ValidationReport report;
  for (int i = 0; i < kTimes; ++i) {
    report.times.push_back(time_of(i));
    report.losses.push_back(losses[i].item<double>());
    report.loss += report.losses.back() / kTimes;
  }
  return report;
}

}  // namespace espalier::train
