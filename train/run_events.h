#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/status.h"
#include "train/loop.h"
#include "train/trainer.h"
#include "train/training_log.h"

namespace espalier::train {

// Tells the course of a run: events to whoever started it (docs/formats/events.md), steps and validations also to the
// training log. Rank 0 tells everything, the others only that they started.
class RunEvents {
 public:
  // `config` must outlive it.
  RunEvents(const TrainConfig& config, EventCallback on_event);

  // Starts the log, where one is wanted. INVALID_ARGUMENT: its folder cannot be written.
  Status open_log();
  // The telling part of the loop's hooks; they refer to this.
  LoopHooks hooks();

  void rendezvous(int port) const;
  void tell(const std::string& message) const;
  void warn(const std::string& message) const;
  void result(const TrainResult& result) const;

 private:
  void emit(const nlohmann::json& event) const;
  void record(const nlohmann::json& event);
  void started(int64_t resumed_at) const;
  void step(const StepReport& step);
  void validation(std::string_view when, int64_t step, const ValidationReport& report);
  void continue_log(const nlohmann::json& history);

  const TrainConfig& config_;
  EventCallback on_event_;
  std::optional<TrainingLog> log_;
};

}  // namespace espalier::train
