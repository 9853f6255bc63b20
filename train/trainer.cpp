#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/sha256.h"
#include "nn/io/load_model.h"
#include "nn/lora/adapter.h"
#include "nn/lora/adapter_file.h"
#include "train/condition_cache.h"
#include "train/flow_validation.h"
#include "train/loop.h"
#include "train/stage.h"
#include "train/torch_errors.h"
#include "train/training_data.h"
#include "train/training_log.h"

namespace espalier::train {
namespace {

using nlohmann::json;

// A loss call is the smallest piece of an update that a rank can take. Its size never depends on the number of ranks,
// so that no bit of the result does. Fewer tokens than these are not worth the fixed cost of a call.
constexpr int64_t kTokensPerCall = 256;

// The device of this rank: its GPU where the build and the machine have one.
c10::Device pick_device() {
  if (!at::hasCUDA()) return c10::kCPU;
  const char* local = std::getenv("LOCAL_RANK");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(local != nullptr ? std::atoi(local) : 0));
}

// Fine-tuning of a sparse-structure denoiser, from opened inputs to the adapter file.
class AdapterTraining {
 public:
  AdapterTraining(const TrainConfig& config, const Stage& stage, nn::BaseModel base, EventCallback on_event)
      : config_(config),
        stage_(stage),
        base_(std::move(base)),
        on_event_(std::move(on_event)),
        device_(pick_device()) {}

  Result<TrainResult> run(std::stop_token stop);

 private:
  void leave(Collective& collective) const;
  Status load_networks();
  Status check_dataset();
  Status make_adapter();
  FlowTask flow_task();
  at::Tensor encode(int64_t item, int64_t view);
  FlowSamples latents_of(std::span<const SampleRef> samples);
  LoopConfig loop_config() const;
  LoopHooks hooks(Collective& collective);
  ValidationReport validation_loss(Collective& collective);
  Result<TrainResult> finish(const LoopResult& loop);
  bool leads() const { return config_.group.rank == 0; }
  void emit(const json& event) const {
    if (on_event_ && leads()) on_event_(event);
  }
  void record(const json& event) {
    if (log_) log_->write(event);
    emit(event);
  }
  void continue_log(const json& history);
  void warn(const std::string& message) const { emit({{"event", "log"}, {"level", "warning"}, {"message", message}}); }

  const TrainConfig& config_;
  const Stage& stage_;
  nn::BaseModel base_;
  EventCallback on_event_;
  c10::Device device_;
  std::unique_ptr<nn::SparseStructureFlow> flow_;
  std::unique_ptr<nn::DinoV3> encoder_;
  std::string base_sha256_, base_model_;
  std::optional<TrainingData> data_;
  std::optional<ConditionCache> conditions_;
  nn::LoraAdapter adapter_;
  nn::AdapterScope scope_;
  std::vector<TrainingData::View> validation_views_;
  std::optional<TrainingLog> log_;  // of rank 0
};

Status AdapterTraining::load_networks() {
  const std::string key(stage_.model_key[tier_index(config_.resolution)]);
  ESP_ASSIGN(const auto files, base_.model_files(key));
  ESP_ASSIGN(base_sha256_, sha256_hex_of_file(files.weights));
  base_model_ = files.weights.stem().string();
  nn::LoadOptions options;
  options.dtype = config_.precision == "bf16" ? at::kBFloat16 : at::kFloat;
  options.device = device_;
  ESP_ASSIGN(flow_, nn::load_ss_flow(base_, options));
  nn::LoadOptions encoder_options;
  encoder_options.device = device_;
  ESP_ASSIGN(encoder_, nn::load_image_encoder(base_, encoder_options));
  return absl::OkStatus();
}

// Latents of different encoders do not mix.
Status AdapterTraining::check_dataset() {
  const auto& flow = flow_->config();
  ESP_ASSIGN(auto data, TrainingData::open(config_, flow.in_channels, flow.resolution));
  for (const auto& warning : data.dataset().warnings()) warn(warning);
  const auto& encoders = data.dataset().manifest().encoders;
  const auto made_by = encoders.find("ss");
  if (made_by != encoders.end() && !made_by->second.sha256.empty() &&
      base_.has_model(std::string(stage_.encoder_key))) {
    ESP_ASSIGN(const auto files, base_.model_files(std::string(stage_.encoder_key)));
    ESP_ASSIGN(const auto ours, sha256_hex_of_file(files.weights));
    if (ours != made_by->second.sha256) {
      return absl::InvalidArgumentError(absl::StrCat("dataset: its latents were made by another encoder (",
                                                     made_by->second.name, ") than this base model's"));
    }
  }
  data_.emplace(std::move(data));
  validation_views_ = data_->validation_views();
  conditions_.emplace([this](int64_t item, int64_t view) { return encode(item, view); }, config_.condition_cache_bytes);
  return absl::OkStatus();
}

Status AdapterTraining::make_adapter() {
  nn::LoraConfig lora;
  lora.rank = config_.rank;
  lora.alpha = config_.alpha.value_or(config_.rank);
  ESP_ASSIGN(lora.target_suffixes, nn::target_suffixes(config_.targets));
  const auto targets = flow_->lora_targets();
  ESP_ASSIGN(adapter_, nn::make_adapter(targets, lora, config_.seed));
  ESP_ASSIGN(scope_, nn::AdapterScope::attach(adapter_, targets));
  return absl::OkStatus();
}

at::Tensor AdapterTraining::encode(int64_t item, int64_t view) {
  const int tier = stage_.condition_tier[tier_index(config_.resolution)];
  const int size = static_cast<int>(std::lround(tier * base_.grid_scale()));
  const auto pixels = nn::normalize_pixels(data_->picture(item, view, size)).to(device_);
  return encoder_->forward(pixels).squeeze(0).to(flow_->config().dtype);  // [L, W]
}

FlowSamples AdapterTraining::latents_of(std::span<const SampleRef> samples) {
  std::vector<at::Tensor> latents;
  for (const auto& sample : samples) latents.push_back(data_->latent(sample.item));
  return dense_samples(at::stack(latents).to(device_));
}

FlowTask AdapterTraining::flow_task() {
  FlowTask task;
  task.samples = [this](std::span<const SampleRef> samples) { return latents_of(samples); };
  task.conditions = [this](std::span<const SampleRef> samples) {
    std::vector<at::Tensor> tokens;
    for (const auto& sample : samples) {
      const auto& views = data_->training_views(sample.item);
      auto random = random_stream(config_.seed, Purpose::kView, sample.step, sample.slot);
      tokens.push_back(conditions_->tokens(sample.item, views[random.below(static_cast<uint32_t>(views.size()))]));
    }
    return at::stack(tokens);
  };
  task.predict = [this](const FlowSamples&, const at::Tensor& x, const at::Tensor& t, const at::Tensor& condition) {
    return flow_->forward(x, t, condition);
  };
  task.time = stage_.time;
  task.condition_dropout = config_.condition_dropout;
  task.seed = config_.seed;
  return task;
}

ValidationReport AdapterTraining::validation_loss(Collective& collective) {
  auto task = flow_task();
  task.conditions = [this](std::span<const SampleRef> samples) {
    std::vector<at::Tensor> tokens;
    for (const auto& sample : samples) {
      tokens.push_back(conditions_->tokens(sample.item, validation_views_[static_cast<size_t>(sample.slot)].view));
    }
    return at::stack(tokens);
  };
  std::vector<std::vector<SampleRef>> calls;
  const auto batch = static_cast<size_t>(loop_config().micro_batch);
  for (size_t i = 0; i < validation_views_.size(); ++i) {
    if (i % batch == 0) calls.emplace_back();
    calls.back().push_back({0, static_cast<int64_t>(i), validation_views_[i].item});
  }
  return fixed_noise_loss(task, calls, collective, device_);
}

LoopConfig AdapterTraining::loop_config() const {
  const int64_t side = flow_->config().resolution;
  LoopConfig loop;
  loop.steps = config_.steps;
  loop.batch_size = config_.batch_size.value_or(stage_.batch_size[tier_index(config_.resolution)]);
  loop.micro_batch = config_.micro_batch > 0
                         ? config_.micro_batch
                         : std::clamp<int64_t>(kTokensPerCall / (side * side * side), 1, loop.batch_size);
  loop.seed = config_.seed;
  loop.schedule.kind = config_.schedule == "cosine" ? Schedule::Kind::kCosine : Schedule::Kind::kConstant;
  loop.schedule.learning_rate = config_.learning_rate;
  loop.schedule.warmup_steps = config_.warmup_steps;
  loop.schedule.total_steps = config_.steps;
  loop.ema_decay = config_.ema_decay;
  loop.validate_every = config_.validate_every;
  loop.checkpoint_folder = config_.checkpoint_folder;
  loop.checkpoint_every = config_.checkpoint_every;
  loop.keep_checkpoints = config_.keep_checkpoints;
  loop.resume = config_.resume;
  loop.fingerprint = json{{"denoiser", config_.denoiser},
                          {"resolution", config_.resolution},
                          {"dataset_id", data_->dataset().id()},
                          {"base_sha256", base_sha256_},
                          {"rank", config_.rank},
                          {"alpha", adapter_.config.alpha},
                          {"targets", adapter_.config.target_suffixes},
                          {"condition_dropout", config_.condition_dropout},
                          {"holdout_views", config_.holdout_views},
                          {"precision", config_.precision}}
                         .dump();
  return loop;
}

LoopHooks AdapterTraining::hooks(Collective& collective) {
  LoopHooks hooks;
  hooks.on_start = [this](int64_t resumed_at) {
    // The one event of every rank: whoever started it knows that it has joined.
    if (on_event_) {
      on_event_({{"event", "started"}, {"task", "train"}, {"total", config_.steps}, {"resumed_at", resumed_at}});
    }
  };
  hooks.on_step = [this](const StepReport& step) {
    record({{"event", "step"},
            {"step", step.step},
            {"total", config_.steps},
            {"loss", step.loss},
            {"lr", step.learning_rate},
            {"grad_norm", step.grad_norm},
            {"seconds_per_step", step.seconds_per_step},
            {"eta_seconds", step.eta_seconds}});
    if (step.skipped) warn(absl::StrCat("step ", step.step, ": the gradient was not finite, no update was made"));
  };
  hooks.validate = [this, &collective] { return validation_loss(collective); };
  hooks.on_validation = [this](std::string_view when, int64_t step, const ValidationReport& report) {
    json losses = json::object();
    for (size_t i = 0; i < report.times.size(); ++i) {
      losses[absl::StrFormat("%.1f", report.times[i])] = report.losses[i];
    }
    record({{"event", "validation"}, {"when", when}, {"step", step}, {"loss", report.loss}, {"losses", losses}});
  };
  hooks.on_checkpoint = [this](int64_t step, const std::filesystem::path& path) {
    emit({{"event", "checkpoint"}, {"step", step}, {"path", path.string()}});
  };
  hooks.on_warning = [this](const std::string& message) { warn(message); };
  if (log_) {
    hooks.save_extra = [this] { return json{{"history", log_->history()}}; };
    hooks.restore_extra = [this](const json& extra) {
      continue_log(extra.is_object() ? extra.value("history", json::array()) : json::array());
    };
  }
  return hooks;
}

void AdapterTraining::continue_log(const json& history) {
  auto log = TrainingLog::open(config_.log_folder, history);
  if (log.ok())
    log_.emplace(*std::move(log));
  else
    warn(std::string(log.status().message()));
}

Result<TrainResult> AdapterTraining::finish(const LoopResult& loop) {
  TrainResult result;
  result.steps = loop.steps;
  result.validation_before = loop.validation_before.value_or(ValidationReport{}).loss;
  result.validation_after = loop.validation_after.value_or(ValidationReport{}).loss;
  result.path = config_.output;
  if (!leads()) return result;
  nn::AdapterInfo info;
  info.denoiser = config_.denoiser;
  info.resolution = config_.resolution;
  info.base_model = base_model_;
  info.base_sha256 = base_sha256_;
  info.steps = loop.steps;
  info.learning_rate = config_.learning_rate;
  info.seed = config_.seed;
  info.dataset_id = data_->dataset().id();
  info.job_id = config_.job_id;
  info.created_utc = config_.created_utc;
  ESP_ASSIGN(const auto dtype, nn::parse_save_dtype(config_.save_dtype));
  ESP_TRY(nn::write_adapter(config_.output, adapter_, info, dtype));
  if (!config_.peft_folder.empty()) ESP_TRY(nn::write_peft_folder(config_.peft_folder, adapter_, info, dtype));
  std::error_code error;
  result.bytes = std::filesystem::file_size(config_.output, error);
  ESP_ASSIGN(result.sha256, sha256_hex_of_file(config_.output));
  emit({{"event", "result"}, {"path", result.path}, {"bytes", result.bytes}, {"sha256", result.sha256}});
  return result;
}

// No rank takes the group apart while another is still in its last call. The result is there already: whoever is lost
// now is not missed.
void AdapterTraining::leave(Collective& collective) const {
  try {
    collective.barrier();
  } catch (const StatusError& error) {
    warn(absl::StrCat("at the end: ", error.what()));
  }
}

Result<TrainResult> AdapterTraining::run(std::stop_token stop) {
  const auto tell_port = [this](int port) { emit({{"event", "rendezvous"}, {"port", port}}); };
  ESP_ASSIGN(const auto collective, Collective::connect(config_.group, device_.is_cuda(), tell_port));
  if (leads() && !config_.log_folder.empty()) {
    ESP_ASSIGN(log_, TrainingLog::open(config_.log_folder, json::array()));
  }
  ESP_TRY(load_networks());
  ESP_TRY(check_dataset());
  ESP_TRY(make_adapter());
  if (const auto advised = base_.recommended_learning_rate();
      advised && (config_.learning_rate * 5 < *advised || config_.learning_rate > *advised * 5)) {
    warn(absl::StrCat("learning rate ", config_.learning_rate, " is far from the ", *advised, " that base model ",
                      base_.name(), " recommends"));
  }
  std::vector<Parameter> parameters;
  for (auto& [name, tensor] : adapter_.named_tensors()) parameters.push_back({name, tensor});
  const auto task = flow_task();
  const auto loss = [&](std::span<const SampleRef> samples) { return flow_loss(task, samples); };
  ESP_ASSIGN(const auto loop, run_loop(loop_config(), std::move(parameters), data_->repeats(), loss, hooks(*collective),
                                       *collective, std::move(stop)));
  auto result = finish(loop);
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
