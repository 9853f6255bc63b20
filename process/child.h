#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::process {

struct ChildSpec {
  std::vector<std::string> argv;         // argv[0] is the program's path; "{progress-fd}" is replaced by the number
  std::vector<std::string> environment;  // NAME=value, all of it: nothing is inherited
};

// Called on the thread of run_child.
struct ChildObserver {
  std::function<void(std::string_view line)> on_event;  // a line of the progress descriptor, at most 1 MiB
  std::function<void(std::string_view line)> on_log;    // a line of stdout or stderr, at most 4096 bytes
  std::function<void()> on_tick;                        // every half second while the child runs
};

struct ChildExit {
  int code = 0;          // when signal is 0
  int signal = 0;        // that ended it
  bool stopped = false;  // `stop` was set before it ended
};

// Runs a program to its end in a process group of its own, relaying its lines. When `stop` is set the group gets
// SIGTERM and after `grace` SIGKILL. The child is killed too when the calling thread or process dies.
// Blocks; run each child on its own thread. INTERNAL: the program cannot be started.
Result<ChildExit> run_child(const ChildSpec& spec, const ChildObserver& observer, std::stop_token stop,
                            std::chrono::milliseconds grace);

}  // namespace espalier::process
