#include "coordinator/tenants/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace espalier::coordinator {

TokenBuckets::Bucket& TokenBuckets::refilled(const std::string& name, const Rate& rate, int64_t now_us) {
  if (buckets_.size() >= swept_at_) forget_full(now_us);
  const auto [found, fresh] = buckets_.try_emplace(name, Bucket{rate.burst, now_us, rate.per_second, rate.burst});
  Bucket& bucket = found->second;
  const double seconds = static_cast<double>(std::max<int64_t>(now_us - bucket.filled_us, 0)) / 1e6;
  bucket = {std::min(rate.burst, bucket.tokens + seconds * rate.per_second), now_us, rate.per_second, rate.burst};
  return bucket;
}

int64_t TokenBuckets::take(const std::string& name, const Rate& rate, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  Bucket& bucket = refilled(name, rate, now_us);
  if (bucket.tokens < 1) return std::llround((1 - bucket.tokens) / rate.per_second * 1e6) + 1;
  bucket.tokens -= 1;
  return 0;
}

bool TokenBuckets::is_empty(const std::string& name, const Rate& rate, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  return buckets_.contains(name) && refilled(name, rate, now_us).tokens < 1;
}

void TokenBuckets::forget_full(int64_t now_us) {
  std::erase_if(buckets_, [now_us](const auto& entry) {
    const Bucket& bucket = entry.second;
    const double seconds = static_cast<double>(now_us - bucket.filled_us) / 1e6;
    return bucket.tokens + seconds * bucket.per_second >= bucket.burst;
  });
  swept_at_ = std::max<size_t>(1024, buckets_.size() * 2);
}

}  // namespace espalier::coordinator
