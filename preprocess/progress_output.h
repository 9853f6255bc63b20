#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "cli/board.h"
#include "common/events.h"
#include "common/status.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

// Tells a run's progress: JSON lines (docs/formats/events.md) when a descriptor is given, else lines for people on
// stderr.
class ProgressOutput {
 public:
  // `task`: preprocess or merge.
  ProgressOutput(int progress_fd, std::string task)
      : events_(progress_fd), for_people_(progress_fd < 0), task_(std::move(task)), board_(!for_people_) {}

  PreprocessObserver observer();
  void result(const PreprocessResult& result);
  void error(const Status& status);

 private:
  void started(int64_t total);
  void object(const ObjectEvent& event);
  void warning(const std::string& message);

  EventWriter events_;
  const bool for_people_;
  const std::string task_;
  cli::Board board_;
};

}  // namespace espalier::preprocess
