#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

// Progress of a task program (espalier-preprocess, espalier-train) as JSON lines on a file descriptor, read by the
// worker. One object per line, always with "event". See docs/formats/events.md.
namespace espalier {

class EventWriter {
 public:
  // fd < 0: events are dropped. The descriptor stays the caller's. Writing to a closed pipe is ignored: losing the
  // reader must not lose the work.
  explicit EventWriter(int fd = -1) : fd_(fd) {}
  void write(const nlohmann::json& event) const;

 private:
  int fd_;
};

}  // namespace espalier
