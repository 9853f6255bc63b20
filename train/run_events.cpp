#include "train/run_events.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::train {

using nlohmann::json;

RunEvents::RunEvents(const TrainConfig& config, EventCallback on_event)
    : config_(config), on_event_(std::move(on_event)) {}

Status RunEvents::open_log() {
  if (config_.group.rank != 0 || config_.log_folder.empty()) return absl::OkStatus();
  ESP_ASSIGN(log_, TrainingLog::open(config_.log_folder, json::array()));
  return absl::OkStatus();
}

void RunEvents::emit(const json& event) const {
  if (on_event_ && config_.group.rank == 0) on_event_(event);
}

void RunEvents::record(const json& event) {
  if (log_) log_->write(event);
  emit(event);
}

void RunEvents::rendezvous(int port) const { emit({{"event", "rendezvous"}, {"port", port}}); }

void RunEvents::tell(const std::string& message) const {
  emit({{"event", "log"}, {"level", "info"}, {"message", message}});
}

void RunEvents::warn(const std::string& message) const {
  emit({{"event", "log"}, {"level", "warning"}, {"message", message}});
}

void RunEvents::result(const TrainResult& result) const {
  emit({{"event", "result"}, {"path", result.path}, {"bytes", result.bytes}, {"sha256", result.sha256}});
}

// The one event of every rank: whoever started it knows that it has joined.
void RunEvents::started(int64_t resumed_at) const {
  if (on_event_) {
    on_event_({{"event", "started"}, {"task", "train"}, {"total", config_.steps}, {"resumed_at", resumed_at}});
  }
}

void RunEvents::step(const StepReport& step) {
  record({{"event", "step"},
          {"step", step.step},
          {"total", config_.steps},
          {"loss", step.loss},
          {"lr", step.learning_rate},
          {"grad_norm", step.grad_norm},
          {"seconds_per_step", step.seconds_per_step},
          {"eta_seconds", step.eta_seconds}});
  if (step.skipped) warn(absl::StrCat("step ", step.step, ": the gradient was not finite, no update was made"));
}

void RunEvents::validation(std::string_view when, int64_t step, const ValidationReport& report) {
  json losses = json::object();
  for (size_t i = 0; i < report.times.size(); ++i) {
    losses[absl::StrFormat("%.1f", report.times[i])] = report.losses[i];
  }
  record({{"event", "validation"}, {"when", when}, {"step", step}, {"loss", report.loss}, {"losses", losses}});
}

void RunEvents::continue_log(const json& history) {
  auto log = TrainingLog::open(config_.log_folder, history);
  if (log.ok())
    log_.emplace(*std::move(log));
  else
    warn(std::string(log.status().message()));
}

LoopHooks RunEvents::hooks() {
  LoopHooks hooks;
  hooks.on_start = [this](int64_t resumed_at) { started(resumed_at); };
  hooks.on_step = [this](const StepReport& report) { step(report); };
  hooks.on_validation = [this](std::string_view when, int64_t step, const ValidationReport& report) {
    validation(when, step, report);
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

}  // namespace espalier::train
