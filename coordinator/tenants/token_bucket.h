#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace espalier::coordinator {

// A token bucket per name: `burst` tokens at once, refilled at a steady rate. Full buckets are forgotten, so memory
// stays with the names in use. Thread-safe.
class TokenBuckets {
 public:
  struct Rate {
    double per_second = 0;  // > 0
    double burst = 1;       // >= 1
  };

  // Takes a token. Returns 0 when there was one, else microseconds until there is.
  int64_t take(const std::string& name, const Rate& rate, int64_t now_us);
  // Whether take() would have to wait.
  bool is_empty(const std::string& name, const Rate& rate, int64_t now_us);

 private:
  struct Bucket {
    double tokens = 0;
    int64_t filled_us = 0;  // when `tokens` was right
    double per_second = 0;
    double burst = 0;
  };
  Bucket& refilled(const std::string& name, const Rate& rate, int64_t now_us);
  void forget_full(int64_t now_us);

  std::mutex mutex_;  // guards the two below
  std::unordered_map<std::string, Bucket> buckets_;
  size_t swept_at_ = 1024;  // size at which full buckets are looked for
};

}  // namespace espalier::coordinator
