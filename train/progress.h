#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/board.h"
#include "common/events.h"
#include "common/status.h"

namespace espalier::train {

// Where the events of a training go: the descriptor of the worker, or people.
class ProgressOutput {
 public:
  // `fd` < 0: people watch on `terminal` (cli/board.h) instead of a program.
  ProgressOutput(int fd, std::FILE* terminal);

  void write(const nlohmann::json& event);
  // The `error` event, and the message for people.
  void write_error(const Status& status);

 private:
  void show(const nlohmann::json& event);
  void show_step(const nlohmann::json& event);

  EventWriter events_;
  std::FILE* terminal_;
  const bool people_;
  cli::Board board_;
};

}  // namespace espalier::train
