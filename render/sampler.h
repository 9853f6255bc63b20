#pragma once

#include <cstdint>

// Low-discrepancy random numbers of one path: Owen-scrambled Sobol pairs, shuffled anew for every pair of dimensions.
// Reference: Burley, "Practical Hash-based Owen Scrambling", JCGT 2020.
namespace espalier::render {

inline uint32_t mix_bits(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

inline uint32_t reverse_bits(uint32_t x) {
  x = __builtin_bswap32(x);
  x = ((x & 0x0f0f0f0fu) << 4) | ((x >> 4) & 0x0f0f0f0fu);
  x = ((x & 0x33333333u) << 2) | ((x >> 2) & 0x33333333u);
  return ((x & 0x55555555u) << 1) | ((x >> 1) & 0x55555555u);
}

// Owen scrambling of a number whose bits are reversed.
inline uint32_t scramble_reversed(uint32_t x, uint32_t seed) {
  x ^= x * 0x3d20adeau;
  x += seed;
  x *= (seed >> 16) | 1;
  x ^= x * 0x05526c56u;
  return x ^ (x * 0x53a22864u);
}

// Pascal's triangle modulo 2 times the bits of x: the generator matrix of the second Sobol dimension, bits reversed.
// Its entry (i, j) is odd exactly when the bits of i are a subset of those of j.
inline uint32_t pascal_product(uint32_t x) {
  x ^= (x >> 1) & 0x55555555u;
  x ^= (x >> 2) & 0x33333333u;
  x ^= (x >> 4) & 0x0f0f0f0fu;
  x ^= (x >> 8) & 0x00ff00ffu;
  return x ^ (x >> 16);
}

inline float unit_float(uint32_t x) { return static_cast<float>(x >> 8) * 0x1p-24f; }

struct Pair {
  float u, v;  // [0, 1)
};

class PathSampler {
 public:
  PathSampler(uint64_t key, uint32_t pixel, uint32_t sample)
      : seed_(mix_bits(pixel + mix_bits(static_cast<uint32_t>(key) ^ mix_bits(static_cast<uint32_t>(key >> 32))))),
        sample_(sample) {}

  Pair next() {
    const uint32_t seed = mix_bits(seed_ + 0x9e3779b9u * ++pair_);
    const uint32_t index = reverse_bits(scramble_reversed(reverse_bits(sample_), seed));
    // The first Sobol dimension is the reversed index; scrambling reverses it again. So it is with the second.
    return {unit_float(reverse_bits(scramble_reversed(index, mix_bits(seed + 1)))),
            unit_float(reverse_bits(scramble_reversed(pascal_product(index), mix_bits(seed + 2))))};
  }

 private:
  uint32_t seed_, sample_, pair_ = 0;
};

}  // namespace espalier::render
