#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/status.h"
#include "train/tensorboard.h"

namespace espalier::train {

// The course of a training as files for people and their tools: metrics.jsonl, one JSON object per step or validation
// (docs/formats/training-log.md), and the same for TensorBoard.
//
// The history so far travels with the checkpoints. A run that goes on writes the files anew from it, so that they have
// every step once, also on another machine and after a crash that came later than the checkpoint.
class TrainingLog {
 public:
  static constexpr const char* kMetricsName = "metrics.jsonl";
  static constexpr const char* kEventsName = "events.out.tfevents.0.espalier";

  // Makes the folder and the files. `history`: what history() gave at the checkpoint; null or empty for a new run.
  // INVALID_ARGUMENT: the folder cannot be written.
  static Result<TrainingLog> open(const std::filesystem::path& folder, const nlohmann::json& history);

  // Takes the events `step` and `validation` (docs/formats/events.md), ignores others.
  void write(const nlohmann::json& event);
  // Everything written so far, as an array.
  const nlohmann::json& history() const { return history_; }

 private:
  TrainingLog(std::ofstream metrics, EventFile events) : metrics_(std::move(metrics)), events_(std::move(events)) {}
  void append(nlohmann::json record);

  std::ofstream metrics_;
  EventFile events_;
  nlohmann::json history_ = nlohmann::json::array();
};

}  // namespace espalier::train
