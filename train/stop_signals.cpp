#include "train/stop_signals.h"

#include <csignal>
#include <ctime>

namespace espalier::train {
namespace {

sigset_t watched() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t signals = watched();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::thread([this, signals] {
    const timespec interval{0, 100'000'000};
    while (!done_) {
      if (sigtimedwait(&signals, nullptr, &interval) < 0) continue;
      if (stop_.stop_requested()) std::_Exit(130);
      stop_.request_stop();
    }
  });
}

StopSignals::~StopSignals() {
  done_ = true;
  waiter_.join();
}

}  // namespace espalier::train
