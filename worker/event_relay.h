#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/checkpoint_uploader.h"
#include "worker/task.h"

namespace espalier::worker {

// Turns the lines of one child (docs/formats/events.md) into reports. Points and log lines are gathered and sent by
// flush(). Used on one thread. A line that is not an event is logged and otherwise ignored: the child reads strangers'
// files, so what it says is checked too.
class EventRelay {
 public:
  EventRelay(const v1::AssignTask& task, Report report, CheckpointUploader* checkpoints);

  void on_event(std::string_view line);
  void on_log(std::string_view line);
  void flush();

  // What the child said last, for the final report.
  const nlohmann::json& result() const { return result_; }
  const std::string& error_code() const { return error_code_; }
  const std::string& error_message() const { return error_message_; }
  const std::string& last_log_line() const { return last_log_line_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  v1::TrainResult validation() const { return validation_; }

 private:
  void handle(const nlohmann::json& event);
  void started(const nlohmann::json& event);
  void rendezvous(const nlohmann::json& event);
  void object(const nlohmann::json& event);
  void step(const nlohmann::json& event);
  void validation(const nlohmann::json& event);
  void evaluation(const nlohmann::json& event);
  void add_log(v1::LogSeverity severity, std::string_view text);

  const v1::AssignTask& task_;
  Report report_;
  CheckpointUploader* checkpoints_;  // null for tasks without, and members other than 0
  v1::TaskTrainingProgress steps_;
  v1::TaskPreparationProgress preparation_;
  bool preparation_changed_ = false;
  v1::TaskLogs logs_;
  nlohmann::json result_;
  std::string error_code_, error_message_, last_log_line_;
  std::vector<std::string> warnings_;
  v1::TrainResult validation_;
};

}  // namespace espalier::worker
