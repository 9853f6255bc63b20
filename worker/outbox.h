#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "espalier/v1/worker.pb.h"

namespace espalier::worker {

// Reports on their way to the coordinator: numbered 1, 2, 3, …, kept until acknowledged, sent again after a reconnect.
// Thread-safe.
class Outbox {
 public:
  // Returns the sequence number given; 0 when a log report was dropped because too many wait already (the coordinator
  // is away; results and progress are always kept).
  uint64_t push(v1::WorkerMessage message);

  // The next report to send, or nothing when `until` comes, or wake() is called, first.
  std::optional<v1::WorkerMessage> next(std::chrono::steady_clock::time_point until);
  void wake();

  void acknowledge(uint64_t seq);  // everything up to seq is committed
  void rewind(uint64_t acked);     // a new stream: acknowledge, then send the rest again
  bool empty() const;              // nothing unacknowledged
  uint64_t acked() const;

 private:
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<v1::WorkerMessage> waiting_;  // unacknowledged, in order
  size_t sent_ = 0;                        // of waiting_, on this stream
  uint64_t last_ = 0, acked_ = 0;
  bool woken_ = false;
};

}  // namespace espalier::worker
