#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "tests/faults/simulated_task.h"
#include "worker/outbox.h"

namespace espalier::faults {

// A machine with a worker on it that speaks WorkerService over a real connection, and that can be killed, stopped,
// hung and cut off. Lives on a thread of its own until it is destroyed.
class SimulatedWorker {
 public:
  SimulatedWorker(World& world, size_t number);
  ~SimulatedWorker();

  // Commands from any thread; they take effect between two small steps.
  void kill(std::chrono::milliseconds until_restart);
  void lose();  // killed for good
  void stop(std::chrono::milliseconds until_restart);
  void drop_stream();
  void hang(std::chrono::milliseconds duration);

 private:
  class Life;  // one process

  enum class Order { kNone, kKill, kLose, kStop, kDrop, kHang };
  void give(Order order, std::chrono::milliseconds duration);
  std::pair<Order, std::chrono::milliseconds> take_order();
  void live(const std::stop_token& stop);

  World& world_;
  Machine machine_;
  std::mutex mutex_;  // guards the two below
  Order order_ = Order::kNone;
  std::chrono::milliseconds duration_{0};
  std::jthread thread_;  // last: ends before the rest goes
};

}  // namespace espalier::faults
