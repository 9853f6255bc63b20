#include "train/flow_validation.h"

#include <torch/types.h>

#include <algorithm>

namespace espalier::train {
namespace {

constexpr int kTimes = 9;
constexpr uint64_t kNoiseSeed = 0;  // not the run's: two runs see the same noise

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

ValidationReport fixed_noise_loss(const FlowTask& task, std::span<const SampleRef> samples, int64_t batch) {
  TORCH_CHECK(!samples.empty() && batch > 0, "nothing to validate on");
  at::NoGradGuard no_grad;
  ValidationReport report;
  for (int i = 1; i <= kTimes; ++i) {
    const double time = i / 10.0;
    double sum = 0;
    for (size_t begin = 0; begin < samples.size(); begin += static_cast<size_t>(batch)) {
      const auto part = samples.subspan(begin, std::min(static_cast<size_t>(batch), samples.size() - begin));
      sum += loss_at(task, part, i, time) * static_cast<double>(part.size());
    }
    report.times.push_back(time);
    report.losses.push_back(sum / static_cast<double>(samples.size()));
    report.loss += report.losses.back() / kTimes;
  }
  return report;
}

}  // namespace espalier::train
