#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/status.h"
#include "train/condition_cache.h"
#include "train/flow_validation.h"
#include "train/networks.h"

namespace espalier::train {

// Limits of a loss call (LoopConfig::micro_batch, micro_tokens; 0 tokens: any).
struct CallLimits {
  int64_t samples = 1, tokens = 0;
};

// What an adapter is trained on: the samples of a dataset with their condition tokens, and the denoiser of a base that
// takes them. Neither copied nor moved, because the tasks it gives refer to it. Not thread-safe.
class AdapterTask {
 public:
  // Errors of load_networks, TrainingData::open and check_encoder. `config` must outlive it.
  static Result<std::unique_ptr<AdapterTask>> open(const TrainConfig& config, const Stage& stage,
                                                   const nn::BaseModel& base, c10::Device device);
  AdapterTask(const AdapterTask&) = delete;
  AdapterTask& operator=(const AdapterTask&) = delete;

  Denoiser& denoiser() { return *networks_.denoiser; }
  const Networks& networks() const { return networks_; }
  const TrainingData& data() const { return data_; }
  c10::Device device() const { return device_; }

  // Of the training objects, each with a view drawn for the sample.
  FlowTask training();
  // The fixed-noise loss of the validation views. Collective.
  ValidationReport validation_loss(const CallLimits& limits, Collective& collective);

 private:
  AdapterTask(const TrainConfig& config, const Stage& stage, double grid_scale, c10::Device device, Networks networks,
              TrainingData data);
  FlowTask task_with_views(std::function<int64_t(const SampleRef&)> view_of);
  at::Tensor encode(int64_t item, int64_t view);

  const TrainConfig& config_;
  const TimeDistribution time_;
  const int picture_size_;  // pixels per side
  const c10::Device device_;
  Networks networks_;
  TrainingData data_;
  ConditionCache conditions_;
  std::vector<TrainingData::View> validation_views_;
};

}  // namespace espalier::train
