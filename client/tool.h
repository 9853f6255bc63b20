#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::client {

struct ToolExit {
  int code = 0;        // -1: a signal ended it
  std::string output;  // the last 64 KiB of stdout and stderr
};

struct ToolOptions {
  std::vector<std::string> environment{};           // NAME=value, besides our own
  std::function<void(std::string_view)> on_line{};  // of stdout and stderr
  std::function<void()> on_tick{};                  // every half second
  std::stop_token stop{};
};

// Runs a program of the system to its end, with our environment except for secrets. CANCELLED: it was stopped.
// INTERNAL: it cannot be started.
Result<ToolExit> run_tool(const std::vector<std::string>& argv, const ToolOptions& options);

}  // namespace espalier::client
