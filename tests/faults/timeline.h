#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace espalier::faults {

// What happened in a scenario, with milliseconds since its start; printed when it fails. Thread-safe.
class Timeline {
 public:
  template <class... Parts>
  void add(const Parts&... parts) {
    const auto now = std::chrono::steady_clock::now() - start_;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    const std::lock_guard lock(mutex_);
    lines_.push_back(absl::StrCat(absl::Dec(ms, absl::kSpacePad6), " ms  ", parts...));
  }

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace espalier::faults
