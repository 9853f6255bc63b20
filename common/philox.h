#pragma once

#include <array>
#include <cstdint>

namespace espalier {

// Counter-based random numbers (Philox4x32-10): value = f(key, counter), with no state to carry, so any rank or a
// resumed run draws the same numbers. Independent of the machine.
//
// Reference: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC11.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// One stream of a purpose: draws 0, 1, 2, … of the 64-bit `key` and the two 32-bit stream coordinates.
// Cheap to make; not thread-safe (make one per thread).
class PhiloxStream {
 public:
  explicit PhiloxStream(uint64_t key, uint32_t stream = 0, uint32_t substream = 0)
      : key_{static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}, stream_(stream), substream_(substream) {}

  uint32_t next_u32();
  uint64_t next_u64();
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  uint32_t below(uint32_t n);               // 0 .. n-1, unbiased; n > 0
  double normal();                          // N(0, 1), Box-Muller

 private:
  std::array<uint32_t, 2> key_;
  uint32_t stream_, substream_;
  uint64_t block_ = 0;                // index of the next block of four
  std::array<uint32_t, 4> values_{};  // the current block
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace espalier
