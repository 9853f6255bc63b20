#include "common/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace espalier {

StopSignals::StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::thread([this, signals] {
    const timespec pause{0, 100'000'000};
    while (!done_) {
      const int signal = sigtimedwait(&signals, nullptr, &pause);
      if (signal <= 0) continue;
      if (stop_.stop_requested()) ::_exit(128 + signal);
      stop_.request_stop();
    }
  });
}

StopSignals::~StopSignals() {
  done_ = true;
  waiter_.join();
}

}  // namespace espalier
