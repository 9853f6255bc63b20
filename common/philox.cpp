#include "common/philox.h"

#include <cmath>
#include <numbers>

namespace espalier {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

uint32_t PhiloxStream::next_u32() {
  if (used_ == 4) {
    values_ =
        philox4x32({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32), stream_, substream_}, key_);
    ++block_;
    used_ = 0;
  }
  return values_[used_++];
}

uint64_t PhiloxStream::next_u64() {
  const uint64_t high = next_u32();
  return high << 32 | next_u32();
}

double PhiloxStream::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

double PhiloxStream::uniform(double low, double high) { return low + (high - low) * uniform(); }

uint32_t PhiloxStream::below(uint32_t n) {
  const uint32_t limit = -n % n;  // rejects the values that would favour small results
  for (;;) {
    const uint64_t product = uint64_t{next_u32()} * n;
    if (static_cast<uint32_t>(product) >= limit) return static_cast<uint32_t>(product >> 32);
  }
}

double PhiloxStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

}  // namespace espalier
