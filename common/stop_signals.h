#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace espalier {

// Turns SIGTERM and SIGINT into a stop request: both are blocked in every thread and awaited in one of its own, so that
// nothing runs in signal context. Make it first thing in main, before other threads exist. The second signal ends the
// process at once. SIGPIPE is ignored from then on. Child processes inherit the blocked signals: unblock them between
// fork and exec.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  void wait() const;  // until the first signal

 private:
  std::stop_source stop_;
  std::atomic<bool> done_ = false;
  std::thread waiter_;
};

}  // namespace espalier
