#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <utility>

#include "common/status.h"

namespace espalier::infer {

// Lets callers through one at a time, in the order they came. Thread-safe; must outlive its turns.
class TurnQueue {
 public:
  // At most `max_waiting` callers wait behind the one whose turn it is.
  explicit TurnQueue(int max_waiting) : max_waiting_(max_waiting) {}

  // Holds the turn; the next caller goes on when it is destroyed.
  class Turn {
   public:
    explicit Turn(TurnQueue* queue) : queue_(queue) {}
    Turn(Turn&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (queue_ != nullptr) queue_->leave();
    }

   private:
    TurnQueue* queue_;
  };

  // Blocks until it is the caller's turn. CANCELLED: stopped before; RESOURCE_EXHAUSTED: too many wait already.
  Result<Turn> wait(std::stop_token stop);

 private:
  void leave();

  const int max_waiting_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable_any changed_;
  std::deque<uint64_t> line_;  // tickets; the front has the turn
  uint64_t next_ticket_ = 0;
};

}  // namespace espalier::infer
