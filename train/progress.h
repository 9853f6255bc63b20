#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/events.h"
#include "common/status.h"

namespace espalier::train {

// Where the events of a training go: the descriptor of the worker, or people.
class ProgressOutput {
 public:
  // `fd` < 0: people watch on `terminal` (a bar on a terminal, a line now and then elsewhere) instead of a program.
  ProgressOutput(int fd, std::FILE* terminal);

  void write(const nlohmann::json& event);
  // The `error` event, and the message for people.
  void write_error(const Status& status);

 private:
  void show(const nlohmann::json& event);
  void show_step(const nlohmann::json& event);
  void line(const std::string& text);

  EventWriter events_;
  std::FILE* terminal_;
  bool people_, bar_;
  bool bar_open_ = false;
};

}  // namespace espalier::train
