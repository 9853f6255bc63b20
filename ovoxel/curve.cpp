#include "ovoxel/curve.h"

#include <array>

namespace espalier::ovoxel {
namespace {

constexpr uint32_t kTopBit = 1u << (kCurveBits - 1);

// Two zero bits after each of the low ten.
uint32_t spread(uint32_t x) {
  x &= 0x3FF;
  x = (x | x << 16) & 0x030000FF;
  x = (x | x << 8) & 0x0300F00F;
  x = (x | x << 4) & 0x030C30C3;
  return (x | x << 2) & 0x09249249;
}

int32_t gather(uint32_t x) {
  x &= 0x09249249;
  x = (x | x >> 2) & 0x030C30C3;
  x = (x | x >> 4) & 0x0300F00F;
  x = (x | x >> 8) & 0x030000FF;
  return static_cast<int32_t>((x | x >> 16) & 0x3FF);
}

// One level of the curve's reflections, its own inverse for each axis.
void reflect(std::array<uint32_t, 3>& x, size_t axis, uint32_t bit) {
  const uint32_t low = bit - 1;
  if (x[axis] & bit) {
    x[0] ^= low;
  } else {
    const uint32_t differing = (x[0] ^ x[axis]) & low;
    x[0] ^= differing;
    x[axis] ^= differing;
  }
}

}  // namespace

uint32_t z_order(const Voxel& v) {
  return spread(static_cast<uint32_t>(v[0])) << 2 | spread(static_cast<uint32_t>(v[1])) << 1 |
         spread(static_cast<uint32_t>(v[2]));
}

Voxel from_z_order(uint32_t code) { return {gather(code >> 2), gather(code >> 1), gather(code)}; }

uint32_t hilbert_order(const Voxel& v) {
  std::array<uint32_t, 3> x{static_cast<uint32_t>(v[0]), static_cast<uint32_t>(v[1]), static_cast<uint32_t>(v[2])};
  for (uint32_t bit = kTopBit; bit > 1; bit >>= 1) {
    for (size_t axis = 0; axis < 3; ++axis) reflect(x, axis, bit);
  }
  x[1] ^= x[0];
  x[2] ^= x[1];
  uint32_t gray = 0;
  for (uint32_t bit = kTopBit; bit > 1; bit >>= 1) {
    if (x[2] & bit) gray ^= bit - 1;
  }
  return spread(x[0] ^ gray) << 2 | spread(x[1] ^ gray) << 1 | spread(x[2] ^ gray);
}

Voxel from_hilbert_order(uint32_t code) {
  std::array<uint32_t, 3> x;
  for (uint32_t axis = 0; axis < 3; ++axis) x[axis] = static_cast<uint32_t>(gather(code >> (2 - axis)));
  const uint32_t gray = x[2] >> 1;
  x[2] ^= x[1];
  x[1] ^= x[0];
  x[0] ^= gray;
  for (uint32_t bit = 2; bit <= kTopBit; bit <<= 1) {
    for (size_t axis = 3; axis-- > 0;) reflect(x, axis, bit);
  }
  return {static_cast<int32_t>(x[0]), static_cast<int32_t>(x[1]), static_cast<int32_t>(x[2])};
}

}  // namespace espalier::ovoxel
