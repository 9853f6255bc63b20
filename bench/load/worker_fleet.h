#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/load/load_setup.h"

namespace espalier::bench {

// Attached workers that take every task they are given, keep it and send heartbeats at the interval that the
// coordinator asks for, spread evenly over time. Streams without threads of their own.
class WorkerFleet {
 public:
  WorkerFleet(const CoordinatorChild& coordinator, int workers, int slots);
  ~WorkerFleet();

  int attached() const { return attached_; }
  int tasks() const { return tasks_; }  // held now
  long heartbeats() const { return heartbeats_; }

 private:
  class Worker;
  void beat(const std::stop_token& stop);

  std::vector<std::unique_ptr<Client>> clients_;  // a connection carries a limited number of streams
  std::deque<Worker> workers_;
  std::atomic<int> attached_{0}, tasks_{0};
  std::atomic<long> heartbeats_{0};
  std::atomic<int> interval_ms_{1000};
  std::jthread heart_;  // last: ends before the rest goes
};

}  // namespace espalier::bench
