#include "worker/event_relay.h"

#include <google/protobuf/util/time_util.h>

#include "common/log.h"

namespace espalier::worker {
namespace {

constexpr size_t kMaxText = 4096;

template <class T>
T number(const nlohmann::json& event, const char* key) {
  const auto it = event.find(key);
  return it != event.end() && it->is_number() ? it->get<T>() : T{0};
}

std::string text(const nlohmann::json& event, const char* key) {
  const auto it = event.find(key);
  return it != event.end() && it->is_string() ? it->get<std::string>().substr(0, kMaxText) : std::string();
}

v1::LogSeverity severity_of(const std::string& level) {
  if (level == "debug") return v1::LOG_SEVERITY_DEBUG;
  if (level == "warning") return v1::LOG_SEVERITY_WARNING;
  if (level == "error") return v1::LOG_SEVERITY_ERROR;
  return v1::LOG_SEVERITY_INFO;
}

}  // namespace

EventRelay::EventRelay(const v1::AssignTask& task, Report report, CheckpointUploader* checkpoints)
    : task_(task), report_(std::move(report)), checkpoints_(checkpoints) {}

// Lines come faster than anybody wants to read them: progress and logs are collected until flush(), what happens once
// is reported at once.
void EventRelay::on_event(std::string_view line) {
  const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) {
    log_warning("the task program wrote a line that is no event", {{"task", task_.lease().task_id()}});
    return;
  }
  handle(event);
}

void EventRelay::handle(const nlohmann::json& event) {
  const auto kind = text(event, "event");
  if (kind == "started") return started(event);
  if (kind == "object") return object(event);
  if (kind == "step") return step(event);
  if (kind == "validation") return validation(event);
  if (kind == "rendezvous") return rendezvous(event);
  if (kind == "evaluation") return evaluation(event);
  if (kind == "checkpoint") {
    if (checkpoints_ != nullptr) checkpoints_->offer(number<int>(event, "step"), text(event, "path"));
  } else if (kind == "log") {
    if (text(event, "level") == "warning") warnings_.push_back(text(event, "message"));
    add_log(severity_of(text(event, "level")), text(event, "message"));
  } else if (kind == "result") {
    result_ = event;
  } else if (kind == "error") {
    error_code_ = text(event, "code");
    error_message_ = text(event, "message");
  }
}

void EventRelay::started(const nlohmann::json& event) {
  v1::WorkerMessage message;
  auto& report = *message.mutable_task_started();
  *report.mutable_lease() = task_.lease();
  report.set_resumed_at_step(number<int>(event, "resumed_at"));
  report_(std::move(message));
  if (!task_.has_preprocess()) return;
  preparation_.mutable_progress()->set_total(number<int>(event, "total"));
  preparation_changed_ = true;
}

void EventRelay::rendezvous(const nlohmann::json& event) {
  v1::WorkerMessage message;
  auto& report = *message.mutable_rendezvous_ready();
  *report.mutable_lease() = task_.lease();
  report.set_port(number<int>(event, "port"));
  report_(std::move(message));
}

void EventRelay::object(const nlohmann::json& event) {
  auto& progress = *preparation_.mutable_progress();
  progress.set_done(number<int>(event, "done"));
  progress.set_total(number<int>(event, "total"));
  progress.set_skipped(number<int>(event, "skipped"));
  preparation_changed_ = true;
  if (text(event, "status") != "failed") return;
  v1::WorkerMessage message;
  auto& report = *message.mutable_object_failed();
  *report.mutable_lease() = task_.lease();
  report.mutable_object()->set_path(text(event, "path"));
  report.mutable_object()->set_code(text(event, "code"));
  report.mutable_object()->set_message(text(event, "message"));
  report_(std::move(message));
}

void EventRelay::step(const nlohmann::json& event) {
  auto& point = *steps_.add_points();
  point.set_step(number<int>(event, "step"));
  point.set_loss(number<double>(event, "loss"));
  point.set_learning_rate(number<double>(event, "lr"));
  point.set_grad_norm(number<double>(event, "grad_norm"));
  point.set_seconds_per_step(number<double>(event, "seconds_per_step"));
  steps_.set_total_steps(number<int>(event, "total"));
  steps_.set_eta_seconds(number<double>(event, "eta_seconds"));
}

void EventRelay::validation(const nlohmann::json& event) {
  const auto when = text(event, "when");
  if (when != "before" && when != "after") return;
  const double loss = number<double>(event, "loss");
  when == "before" ? validation_.set_validation_loss_before(loss) : validation_.set_validation_loss_after(loss);
  v1::WorkerMessage message;
  auto& report = *message.mutable_validation();
  *report.mutable_lease() = task_.lease();
  report.set_before_training(when == "before");
  report.set_step(number<int>(event, "step"));
  report.set_loss(loss);
  report_(std::move(message));
}

void EventRelay::evaluation(const nlohmann::json& event) {
  v1::WorkerMessage message;
  auto& report = *message.mutable_evaluation_progress();
  *report.mutable_lease() = task_.lease();
  report.mutable_progress()->set_candidate(text(event, "candidate"));
  report.mutable_progress()->set_done(number<int>(event, "done"));
  report.mutable_progress()->set_total(number<int>(event, "total"));
  report_(std::move(message));
}

void EventRelay::on_log(std::string_view line) {
  if (line.empty()) return;
  last_log_line_ = std::string(line);
  add_log(v1::LOG_SEVERITY_INFO, line);
}

void EventRelay::add_log(v1::LogSeverity severity, std::string_view line) {
  auto& entry = *logs_.add_lines();
  *entry.mutable_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  entry.set_severity(severity);
  // Not every program writes UTF-8, but a protobuf string must be it.
  const auto clean = nlohmann::json(std::string(line.substr(0, kMaxText)))
                         .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  entry.set_text(nlohmann::json::parse(clean).get<std::string>());
}

void EventRelay::flush() {
  v1::WorkerMessage message;
  if (steps_.points_size() > 0) {
    *steps_.mutable_lease() = task_.lease();
    message.mutable_training_progress()->Swap(&steps_);
    steps_.Clear();
    report_(message);
  }
  if (std::exchange(preparation_changed_, false)) {
    *preparation_.mutable_lease() = task_.lease();
    *message.mutable_preparation_progress() = preparation_;
    report_(message);
  }
  if (logs_.lines_size() > 0) {
    *logs_.mutable_lease() = task_.lease();
    message.mutable_logs()->Swap(&logs_);
    logs_.Clear();
    report_(message);
  }
}

}  // namespace espalier::worker
