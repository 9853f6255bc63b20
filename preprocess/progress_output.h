#pragma once

#include <cstdint>
#include <string>

#include "common/events.h"
#include "common/status.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

// Tells a run's progress: JSON lines (docs/formats/events.md) when a descriptor is given, else lines for people on
// stderr.
class ProgressOutput {
 public:
  explicit ProgressOutput(int progress_fd) : events_(progress_fd), for_people_(progress_fd < 0) {}

  PreprocessObserver observer();
  void result(const PreprocessResult& result);
  void error(const Status& status);

 private:
  void started(int64_t total);
  void object(const ObjectEvent& event);
  void warning(const std::string& message);

  EventWriter events_;
  const bool for_people_;
};

}  // namespace espalier::preprocess
