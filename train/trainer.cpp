#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base_description.h"
#include "common/sha256.h"
#include "nn/lora/adapter.h"
#include "nn/lora/adapter_file.h"
#include "train/adapter_task.h"
#include "train/gradient_checkpointing.h"
#include "train/loop.h"
#include "train/run_events.h"
#include "train/stage.h"
#include "train/torch_errors.h"

namespace espalier::train {
namespace {

using nlohmann::json;

// The device of this rank: its GPU where the build and the machine have one.
c10::Device pick_device() {
  if (!at::hasCUDA()) return c10::kCPU;
  const char* local = std::getenv("LOCAL_RANK");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(local != nullptr ? std::atoi(local) : 0));
}

int64_t batch_size(const TrainConfig& config, const Stage& stage) {
  return config.batch_size.value_or(stage.batch_size[tier_index(config.resolution)]);
}

CallLimits call_limits(const TrainConfig& config, const Stage& stage) {
  CallLimits limits{batch_size(config, stage), stage.tokens_per_call};
  if (config.micro_batch > 0) limits = {config.micro_batch, 0};
  if (config.max_tokens_per_call > 0) limits.tokens = config.max_tokens_per_call;
  return limits;
}

// Of any loss call these limits allow.
int64_t most_tokens(const CallLimits& limits, const std::vector<int64_t>& item_tokens) {
  const int64_t largest = *std::max_element(item_tokens.begin(), item_tokens.end());
  const int64_t together = largest * limits.samples;
  return limits.tokens == 0 ? together : std::min(together, std::max(largest, limits.tokens));
}

// Fine-tuning of a denoiser, from an opened base to the adapter file.
class AdapterTraining {
 public:
  AdapterTraining(const TrainConfig& config, const Stage& stage, nn::BaseModel base, EventCallback on_event)
      : config_(config),
        stage_(stage),
        base_(std::move(base)),
        learning_rate_(config.learning_rate.value_or(default_learning_rate(base_.recommended_learning_rate()))),
        limits_(call_limits(config, stage)),
        device_(pick_device()),
        events_(config, std::move(on_event)) {}

  Result<TrainResult> run(std::stop_token stop);

 private:
  Status open_task();
  void tell_learning_rate() const;
  Status make_adapter();
  std::string fingerprint() const;
  LoopConfig loop_config() const;
  Result<LoopResult> loop(Collective& collective, std::stop_token stop);
  Result<TrainResult> finish(const LoopResult& loop) const;
  nn::AdapterInfo adapter_info(int64_t steps) const;
  void leave(Collective& collective) const;

  const TrainConfig& config_;
  const Stage& stage_;
  const nn::BaseModel base_;
  const double learning_rate_;
  const CallLimits limits_;
  const c10::Device device_;
  RunEvents events_;
  std::unique_ptr<AdapterTask> task_;
  nn::LoraAdapter adapter_;
  nn::AdapterScope scope_;
};

Status AdapterTraining::open_task() {
  ESP_ASSIGN(task_, AdapterTask::open(config_, stage_, base_, device_));
  for (const auto& warning : task_->data().warnings()) events_.warn(warning);
  auto& denoiser = task_->denoiser();
  const int64_t tokens = most_tokens(limits_, task_->data().training_tokens());
  denoiser.recompute_blocks(recomputed_blocks(config_.gradient_checkpointing, denoiser.config(), tokens));
  return absl::OkStatus();
}

void AdapterTraining::tell_learning_rate() const {
  const auto advised = base_.recommended_learning_rate();
  if (!config_.learning_rate) {
    return events_.tell(absl::StrCat("learning rate ", learning_rate_, ", the default of base model ", base_.name()));
  }
  if (!advised || (learning_rate_ * 5 >= *advised && learning_rate_ <= *advised * 5)) return;
  events_.warn(absl::StrCat("learning rate ", learning_rate_, " is far from the ", *advised, " that base model ",
                            base_.name(), " recommends"));
}

Status AdapterTraining::make_adapter() {
  nn::LoraConfig lora;
  lora.rank = config_.rank;
  lora.alpha = config_.alpha.value_or(config_.rank);
  ESP_ASSIGN(lora.target_suffixes, nn::target_suffixes(config_.targets));
  const auto targets = task_->denoiser().lora_targets();
  ESP_ASSIGN(adapter_, nn::make_adapter(targets, lora, config_.seed));
  ESP_ASSIGN(scope_, nn::AdapterScope::attach(adapter_, targets));
  return absl::OkStatus();
}

std::string AdapterTraining::fingerprint() const {
  return json{{"denoiser", config_.denoiser},
              {"resolution", config_.resolution},
              {"dataset_id", task_->data().dataset().id()},
              {"base_sha256", task_->networks().model_sha256},
              {"rank", config_.rank},
              {"alpha", adapter_.config.alpha},
              {"targets", adapter_.config.target_suffixes},
              {"condition_dropout", config_.condition_dropout},
              {"holdout_views", config_.holdout_views},
              {"precision", config_.precision}}
      .dump();
}

LoopConfig AdapterTraining::loop_config() const {
  LoopConfig loop;
  loop.steps = config_.steps;
  loop.batch_size = batch_size(config_, stage_);
  loop.micro_batch = limits_.samples;
  loop.micro_tokens = limits_.tokens;
  loop.item_tokens = task_->data().training_tokens();
  loop.seed = config_.seed;
  loop.schedule.kind = config_.schedule == "cosine" ? Schedule::Kind::kCosine : Schedule::Kind::kConstant;
  loop.schedule.learning_rate = learning_rate_;
  loop.schedule.warmup_steps = config_.warmup_steps;
  loop.schedule.total_steps = config_.steps;
  loop.ema_decay = config_.ema_decay;
  loop.validate_every = config_.validate_every;
  loop.checkpoint_folder = config_.checkpoint_folder;
  loop.checkpoint_every = config_.checkpoint_every;
  loop.keep_checkpoints = config_.keep_checkpoints;
  loop.resume = config_.resume;
  loop.fingerprint = fingerprint();
  return loop;
}

Result<LoopResult> AdapterTraining::loop(Collective& collective, std::stop_token stop) {
  std::vector<Parameter> parameters;
  for (auto& [name, tensor] : adapter_.named_tensors()) parameters.push_back({name, tensor});
  const auto task = task_->training();
  const auto loss = [&](std::span<const SampleRef> samples) { return flow_loss(task, samples); };
  auto hooks = events_.hooks();
  hooks.validate = [&] { return task_->validation_loss(limits_, collective); };
  return run_loop(loop_config(), std::move(parameters), task_->data().repeats(), loss, hooks, collective,
                  std::move(stop));
}

nn::AdapterInfo AdapterTraining::adapter_info(int64_t steps) const {
  nn::AdapterInfo info;
  info.denoiser = config_.denoiser;
  info.resolution = config_.resolution;
  info.base_model = task_->networks().model_name;
  info.base_sha256 = task_->networks().model_sha256;
  info.steps = steps;
  info.learning_rate = learning_rate_;
  info.seed = config_.seed;
  info.dataset_id = task_->data().dataset().id();
  info.job_id = config_.job_id;
  info.created_utc = config_.created_utc;
  return info;
}

Result<TrainResult> AdapterTraining::finish(const LoopResult& loop) const {
  TrainResult result;
  result.steps = loop.steps;
  result.validation_before = loop.validation_before.value_or(ValidationReport{}).loss;
  result.validation_after = loop.validation_after.value_or(ValidationReport{}).loss;
  result.path = config_.output;
  if (config_.group.rank != 0) return result;
  const auto info = adapter_info(loop.steps);
  ESP_ASSIGN(const auto dtype, nn::parse_save_dtype(config_.save_dtype));
  ESP_TRY(nn::write_adapter(config_.output, adapter_, info, dtype));
  if (!config_.peft_folder.empty()) ESP_TRY(nn::write_peft_folder(config_.peft_folder, adapter_, info, dtype));
  std::error_code error;
  result.bytes = std::filesystem::file_size(config_.output, error);
  ESP_ASSIGN(result.sha256, sha256_hex_of_file(config_.output));
  events_.result(result);
  return result;
}

// No rank takes the group apart while another is still in its last call. The result is there already: whoever is lost
// now is not missed.
void AdapterTraining::leave(Collective& collective) const {
  try {
    collective.barrier();
  } catch (const StatusError& error) {
    events_.warn(absl::StrCat("at the end: ", error.what()));
  }
}

Result<TrainResult> AdapterTraining::run(std::stop_token stop) {
  const auto tell_port = [this](int port) { events_.rendezvous(port); };
  ESP_ASSIGN(const auto collective, Collective::connect(config_.group, device_.is_cuda(), tell_port));
  ESP_TRY(events_.open_log());
  ESP_TRY(open_task());
  ESP_TRY(make_adapter());
  tell_learning_rate();
  ESP_ASSIGN(const auto trained, loop(*collective, std::move(stop)));
  auto result = finish(trained);
  leave(*collective);
  return result;
}

}  // namespace

Result<TrainResult> train(const TrainConfig& config, std::stop_token stop, const EventCallback& on_event) {
  ESP_TRY(validate(config));
  ESP_ASSIGN(const auto stage, find_stage(config.denoiser));
  if (config.threads > 0) at::set_num_threads(config.threads);
  return catch_torch([&]() -> Result<TrainResult> {
    ESP_ASSIGN(auto base, nn::BaseModel::open(config.base));
    return AdapterTraining(config, stage, std::move(base), on_event).run(std::move(stop));
  });
}

}  // namespace espalier::train
