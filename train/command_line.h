#pragma once

#include <string>

#include "common/status.h"
#include "train/trainer.h"

namespace espalier::train {

struct CommandLine {
  TrainConfig config;
  int progress_fd = -1;  // events go here; -1: draw for people
  std::string help;      // not empty: print it and leave with 0
};

// INVALID_ARGUMENT lists every fault of the arguments; `line` then still says where events are to go.
Status parse_command_line(int argc, const char* const* argv, CommandLine& line);

}  // namespace espalier::train
