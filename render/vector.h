#pragma once

#include <algorithm>
#include <cmath>

#include "mesh/scene.h"

// Three-vector arithmetic of the tracer.
namespace espalier::render {

struct V3 {
  float x = 0, y = 0, z = 0;
  V3() = default;
  constexpr V3(float a, float b, float c) : x(a), y(b), z(c) {}
  explicit V3(float a) : x(a), y(a), z(a) {}
  explicit V3(const mesh::Vec3& v) : x(v[0]), y(v[1]), z(v[2]) {}
};

inline V3 operator+(V3 a, V3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline V3 operator-(V3 a, V3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline V3 operator-(V3 a) { return {-a.x, -a.y, -a.z}; }
inline V3 operator*(V3 a, V3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
inline V3 operator*(V3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline V3& operator+=(V3& a, V3 b) { return a = a + b; }
inline float dot(V3 a, V3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline V3 cross(V3 a, V3 b) { return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
inline float length(V3 a) { return std::sqrt(dot(a, a)); }
inline V3 normalize(V3 a, V3 fallback = {0, 0, 1}) {
  const float l = length(a);
  return l > 0 ? a * (1 / l) : fallback;
}
inline float sum(V3 a) { return a.x + a.y + a.z; }

// Two unit vectors that make a right-handed frame with the unit vector n.
// Reference: Duff et al., "Building an Orthonormal Basis, Revisited", 2017.
inline void frame(V3 n, V3& t, V3& b) {
  const float sign = std::copysign(1.0f, n.z), a = -1 / (sign + n.z), c = n.x * n.y * a;
  t = {1 + sign * n.x * n.x * a, sign * c, -sign * n.x};
  b = {c, sign + n.y * n.y * a, -n.y};
}

}  // namespace espalier::render
