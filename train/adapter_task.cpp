#include "train/adapter_task.h"

#include <torch/types.h>

#include <cmath>
#include <utility>

#include "train/batch_plan.h"

namespace espalier::train {

Result<std::unique_ptr<AdapterTask>> AdapterTask::open(const TrainConfig& config, const Stage& stage,
                                                       const nn::BaseModel& base, c10::Device device) {
  ESP_ASSIGN(auto networks, load_networks(base, stage, config, device));
  const auto form = latent_form(base, stage, config.resolution, networks.denoiser->config());
  ESP_ASSIGN(auto data, TrainingData::open(config, form));
  ESP_TRY(check_encoders(data.dataset().manifest(), base, stage));
  return std::unique_ptr<AdapterTask>(
      new AdapterTask(config, stage, base.grid_scale(), device, std::move(networks), std::move(data)));
}

AdapterTask::AdapterTask(const TrainConfig& config, const Stage& stage, double grid_scale, c10::Device device,
                         Networks networks, TrainingData data)
    : config_(config),
      time_(stage.time),
      picture_size_(static_cast<int>(std::lround(stage.condition_tier[tier_index(config.resolution)] * grid_scale))),
      device_(device),
      networks_(std::move(networks)),
      data_(std::move(data)),
      conditions_([this](int64_t item, int64_t view) { return encode(item, view); }, config.condition_cache_bytes),
      validation_views_(data_.validation_views()) {}

at::Tensor AdapterTask::encode(int64_t item, int64_t view) {
  const auto pixels = nn::normalize_pixels(data_.picture(item, view, picture_size_)).to(device_);
  return networks_.encoder->forward(pixels).squeeze(0).to(networks_.denoiser->config().dtype);  // [L, W]
}

FlowTask AdapterTask::task_with_views(std::function<int64_t(const SampleRef&)> view_of) {
  FlowTask task;
  task.samples = [this](std::span<const SampleRef> refs) {
    auto samples = data_.samples(refs);
    samples.x0 = samples.x0.to(device_);
    for (at::Tensor* tensor : {&samples.coords, &samples.concat}) {
      if (tensor->defined()) *tensor = tensor->to(device_);
    }
    return samples;
  };
  task.conditions = [this, view_of = std::move(view_of)](std::span<const SampleRef> refs) {
    std::vector<at::Tensor> tokens;
    for (const auto& ref : refs) tokens.push_back(conditions_.tokens(ref.item, view_of(ref)));
    return at::stack(tokens);
  };
  task.predict = [this](const FlowSamples& samples, const at::Tensor& x, const at::Tensor& t,
                        const at::Tensor& condition) { return denoiser().predict(samples, x, t, condition); };
  task.time = time_;
  task.condition_dropout = config_.condition_dropout;
  task.seed = config_.seed;
  return task;
}

FlowTask AdapterTask::training() {
  return task_with_views([this](const SampleRef& ref) {
    const auto& views = data_.training_views(ref.item);
    auto random = random_stream(config_.seed, Purpose::kView, ref.step, ref.slot);
    return views[random.below(static_cast<uint32_t>(views.size()))];
  });
}

ValidationReport AdapterTask::validation_loss(const CallLimits& limits, Collective& collective) {
  std::vector<int64_t> tokens;
  for (const auto& view : validation_views_) tokens.push_back(data_.tokens(view.item));
  std::vector<std::vector<SampleRef>> calls;
  for (const auto& slots : plan_batch(tokens, limits.samples, limits.tokens, 1).calls) {
    auto& call = calls.emplace_back();
    for (const int64_t slot : slots) call.push_back({0, slot, validation_views_[static_cast<size_t>(slot)].item});
  }
  const auto task =
      task_with_views([this](const SampleRef& ref) { return validation_views_[static_cast<size_t>(ref.slot)].view; });
  return fixed_noise_loss(task, calls, collective, device_);
}

}  // namespace espalier::train
