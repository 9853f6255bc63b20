#pragma once

#include <chrono>
#include <string_view>

namespace espalier {

// Tells systemd how a service of type `notify` is: "READY=1" once it serves, "STOPPING=1" when it ends. Does nothing
// when the environment names no socket (NOTIFY_SOCKET). Returns whether it was told. See sd_notify(3).
bool notify_service(std::string_view state);

// Tells systemd that the service lives, from within the work that must not stop: one that hangs is then started again.
// Without WatchdogSec= in the unit nothing is sent. Not thread-safe.
class Watchdog {
 public:
  Watchdog();
  void beat();  // at least twice in WatchdogSec; most calls send nothing

 private:
  std::chrono::microseconds pause_;  // between messages; zero: nobody watches
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace espalier
