#include "preprocess/memory_budget.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/files.h"

namespace espalier::preprocess {

uint64_t MemoryBudget::of_this_machine() {
  uint64_t bytes = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (const auto limit = read_file("/sys/fs/cgroup/memory.max", 64); limit.ok()) {
    const uint64_t group = std::strtoull(limit->c_str(), nullptr, 10);  // "max": 0
    if (group > 0) bytes = std::min(bytes, group);
  }
  return bytes / 2;
}

MemoryBudget::Share::Share(MemoryBudget& budget, uint64_t bytes)
    : budget_(budget), bytes_(std::min(bytes, budget.total_)) {
  std::unique_lock lock(budget_.mutex_);
  budget_.freed_.wait(lock, [&] { return budget_.free_ >= bytes_; });
  budget_.free_ -= bytes_;
}

MemoryBudget::Share::~Share() {
  {
    const std::lock_guard lock(budget_.mutex_);
    budget_.free_ += bytes_;
  }
  budget_.freed_.notify_all();
}

}  // namespace espalier::preprocess
