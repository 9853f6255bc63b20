#pragma once

#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::coordinator {

// What espalier-coordinator was called with; empty members leave the configuration as it is.
struct CommandLine {
  std::string config_file;
  std::string listen;
  std::string data_dir;
  std::vector<std::string> settings;  // KEY=VALUE
  bool print_config = false;
};

// Loads the configuration, sets up the log and serves until SIGINT or SIGTERM.
Status run(const CommandLine& line);

}  // namespace espalier::coordinator
