#include "nano/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace espalier::nano {

Status for_each_index(uint32_t count, int threads, const std::function<Status(uint32_t)>& task) {
  std::atomic<uint32_t> next{0};
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    for (uint32_t i = next++; i < count; i = next++) {
      const Status status = task(i);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (first.ok()) first = status;
      next = count;
    }
  };
  std::vector<std::jthread> pool;
  for (int i = 1; i < std::max(threads, 1); ++i) pool.emplace_back(run);
  run();
  pool.clear();  // joins
  return first;
}

}  // namespace espalier::nano
