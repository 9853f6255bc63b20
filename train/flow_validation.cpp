#include "train/flow_validation.h"

#include <torch/types.h>

namespace espalier::train {
namespace {

constexpr int kTimes = 9;
constexpr uint64_t kNoiseSeed = 0;  // not the run's: two runs see the same noise

double time_of(int index) { return (index + 1) / 10.0; }

struct Sum {
  double loss = 0;  // over all rows
  double rows = 0;
};

void add_loss_at(const FlowTask& task, std::span<const SampleRef> refs, int time_index, Sum& sum) {
  const auto samples = task.samples(refs);
  std::vector<at::Tensor> noises;
  for (int64_t i = 0; i < samples.size(); ++i) {
    const auto slot = refs[static_cast<size_t>(i)].slot;
    noises.push_back(sample_noise(samples, i, random_stream(kNoiseSeed, Purpose::kValidationNoise, slot, time_index)));
  }
  const auto t = torch::full({samples.size()}, time_of(time_index - 1), samples.x0.options());
  const FlowDraws draws{at::cat(noises).to(samples.x0.device()), t, {}};
  const auto rows = static_cast<double>(samples.rows());
  sum.loss += flow_loss(task, samples, draws, task.conditions(refs)).item<double>() * rows;
  sum.rows += rows;
}

}  // namespace

ValidationReport fixed_noise_loss(const FlowTask& task, std::span<const std::vector<SampleRef>> calls,
                                  Collective& collective, c10::Device device) {
  TORCH_CHECK(!calls.empty(), "nothing to validate on");
  at::NoGradGuard no_grad;
  auto losses = torch::zeros({kTimes}, torch::kFloat64);
  for (int i = collective.rank(); i < kTimes; i += collective.world_size()) {
    Sum sum;
    for (const auto& call : calls) add_loss_at(task, call, i + 1, sum);
    losses[i] = sum.loss / sum.rows;
  }
  losses = losses.to(device);
  collective.all_reduce_sum(losses);  // each has one summand that is not zero: exact
  losses = losses.cpu();
  ValidationReport report;
  for (int i = 0; i < kTimes; ++i) {
    report.times.push_back(time_of(i));
    report.losses.push_back(losses[i].item<double>());
    report.loss += report.losses.back() / kTimes;
  }
  return report;
}

}  // namespace espalier::train
