#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#else
#include <cmath>
#endif

// Four float32 computations side by side; not for other folders. Every lane gives what scalar code of the same
// operations gives, on every machine: no contraction, no reassociation.
namespace espalier::ovoxel::internal {

inline constexpr size_t kLanes = 4;

using Lanes = float __attribute__((vector_size(16)));
using LaneMask = int32_t __attribute__((vector_size(16)));  // all bits of a lane set: true

inline Lanes all(float x) { return Lanes{x, x, x, x}; }

inline Lanes choose(LaneMask mask, Lanes yes, Lanes no) { return mask ? yes : no; }

inline bool any(LaneMask mask) { return (mask[0] | mask[1] | mask[2] | mask[3]) != 0; }

inline Lanes absolute(Lanes x) { return choose(x < all(0), -x, x); }

// As std::max: the first of equals.
inline Lanes largest(Lanes a, Lanes b) { return choose(a < b, b, a); }

inline Lanes root(Lanes x) {
#if defined(__SSE2__)
  return _mm_sqrt_ps(x);
#else
  for (size_t i = 0; i < kLanes; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

}  // namespace espalier::ovoxel::internal
