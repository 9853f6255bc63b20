#include "train/random.h"

namespace espalier::train {
namespace {

// The finaliser of splitmix64: every bit of the key depends on every bit of seed and purpose.
uint64_t mixed(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

PhiloxStream random_stream(uint64_t seed, Purpose purpose, int64_t a, int64_t b) {
  const uint64_t key = mixed(seed ^ mixed(static_cast<uint64_t>(purpose)));
  return PhiloxStream(key, static_cast<uint32_t>(a), static_cast<uint32_t>(b));
}

}  // namespace espalier::train
