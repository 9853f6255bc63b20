#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "mesh/scene.h"

// Three-vector arithmetic of this folder.
namespace espalier::bake {

using Point = std::array<double, 3>;

inline Point point_of(const mesh::Vec3& v) { return {v[0], v[1], v[2]}; }
inline Point plus(const Point& a, const Point& b, double scale = 1) {
  return {a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]};
}
inline Point minus(const Point& a, const Point& b) { return plus(a, b, -1); }
inline double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline double length(const Point& a) { return std::sqrt(dot(a, a)); }
inline Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// Unit length; zero stays zero.
inline Point normalized(const Point& a) {
  const double l = length(a);
  return l > 0 ? Point{a[0] / l, a[1] / l, a[2] / l} : Point{};
}

// Perpendicular to the triangle, as long as its area, on the side its corners run counter-clockwise.
inline Point area_vector(const mesh::Vec3& a, const mesh::Vec3& b, const mesh::Vec3& c) {
  const Point n = cross(minus(point_of(b), point_of(a)), minus(point_of(c), point_of(a)));
  return {n[0] / 2, n[1] / 2, n[2] / 2};
}

}  // namespace espalier::bake
