#include "train/training_log.h"

#include <chrono>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace espalier::train {
namespace {

using nlohmann::json;

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// A number, or 0 for what JSON cannot hold: a loss that is not finite is written as null.
float number(const json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? found->get<float>() : 0;
}

std::vector<Scalar> scalars(const json& record) {
  if (record.contains("validation")) return {{"validation/loss", number(record, "validation")}};
  return {{"train/loss", number(record, "loss")},
          {"train/learning_rate", number(record, "lr")},
          {"train/grad_norm", number(record, "grad_norm")},
          {"train/seconds_per_step", number(record, "seconds")}};
}

}  // namespace

Result<TrainingLog> TrainingLog::open(const std::filesystem::path& folder, const json& history) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream metrics(folder / kMetricsName, std::ios::trunc);
  if (!metrics) return absl::InvalidArgumentError(absl::StrCat("log-dir: cannot write to ", folder.string()));
  const double started = history.is_array() && !history.empty() ? history.front().value("time", now()) : now();
  ESP_ASSIGN(EventFile events, EventFile::create(folder / kEventsName, started));
  TrainingLog log(std::move(metrics), std::move(events));
  for (const json& record : history) log.append(record);
  return log;
}

void TrainingLog::write(const json& event) {
  const auto& kind = event.at("event");
  if (kind == "step") {
    append({{"time", now()},
            {"step", event.at("step")},
            {"loss", event.at("loss")},
            {"lr", event.at("lr")},
            {"grad_norm", event.at("grad_norm")},
            {"seconds", event.at("seconds_per_step")}});
  } else if (kind == "validation") {
    append({{"time", now()},
            {"step", event.at("step")},
            {"validation", event.at("loss")},
            {"when", event.at("when")},
            {"losses", event.at("losses")}});
  }
}

// Flushed at once: what a process that is killed leaves can be read up to its last step.
void TrainingLog::append(json record) {
  metrics_ << record.dump() << std::endl;
  events_.write(record.value("time", 0.0), record.value("step", int64_t{0}), scalars(record));
  events_.flush();
  history_.push_back(std::move(record));
}

}  // namespace espalier::train
