#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace espalier::preprocess {

// Keeps the objects in work within a share of the machine's memory. An object that alone exceeds the budget waits
// until it is alone.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t bytes) : total_(bytes), free_(bytes) {}

  // Half of the machine's memory, or of the control group's limit where one is set.
  static uint64_t of_this_machine();

  // Held while an object is in work.
  class Share {
   public:
    Share(MemoryBudget& budget, uint64_t bytes);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    MemoryBudget& budget_;
    const uint64_t bytes_;
  };

 private:
  const uint64_t total_;
  std::mutex mutex_;  // guards free_
  std::condition_variable freed_;
  uint64_t free_;
};

}  // namespace espalier::preprocess
