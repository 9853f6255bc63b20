#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

// Which texels a triangle in a texture covers. Coordinates are in texels: texel (x, y) has its centre at
// (x + 0.5, y + 0.5).
namespace espalier::bake {

using TexelPoint = std::array<double, 2>;
using TexelTriangle = std::array<TexelPoint, 3>;

// Texels x0 <= x < x1, y0 <= y < y1.
struct TexelBox {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Twice the signed area of (a, b, p). Antisymmetric in a and b to the last bit, so that two triangles agree about the
// points on their shared edge.
inline double edge_side(const TexelPoint& a, const TexelPoint& b, const TexelPoint& p) {
  if (b < a) return -edge_side(b, a, p);
  return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}

// The x extent of the part of a triangle with low <= y <= high; empty (first > second) when there is none.
inline std::array<double, 2> extent_between(const TexelTriangle& t, double low, double high) {
  double first = std::numeric_limits<double>::infinity(), second = -first;
  for (size_t k = 0; k < 3; ++k) {
    const TexelPoint& a = t[k][1] <= t[(k + 1) % 3][1] ? t[k] : t[(k + 1) % 3];
    const TexelPoint& b = t[k][1] <= t[(k + 1) % 3][1] ? t[(k + 1) % 3] : t[k];
    if (b[1] < low || a[1] > high) continue;
    const double slope = b[1] > a[1] ? (b[0] - a[0]) / (b[1] - a[1]) : 0;
    const double from = a[1] >= low ? a[0] : a[0] + (low - a[1]) * slope;
    const double to = b[1] <= high ? b[0] : a[0] + (high - a[1]) * slope;
    first = std::min({first, from, to});
    second = std::max({second, from, to});
  }
  return {first, second};
}

// Calls visit(x, y) for every texel of `box` whose centre may be within `margin` of the triangle, row by row; none that
// is further away by more than a texel's diagonal.
template <class Visit>
void for_texels_near(const TexelTriangle& t, double margin, const TexelBox& box, const Visit& visit) {
  const auto [low, high] = std::minmax({t[0][1], t[1][1], t[2][1]});
  const int y0 = std::max(box.y0, static_cast<int>(std::floor(low - margin - 0.5)));
  const int y1 = std::min(box.y1, static_cast<int>(std::ceil(high + margin + 0.5)));
  for (int y = y0; y < y1; ++y) {
    const auto [first, last] = extent_between(t, y + 0.5 - margin, y + 0.5 + margin);
    if (first > last) continue;
    const int x0 = std::max(box.x0, static_cast<int>(std::floor(first - margin - 0.5)));
    const int x1 = std::min(box.x1, static_cast<int>(std::ceil(last + margin + 0.5)));
    for (int x = x0; x < x1; ++x) visit(x, y);
  }
}

// Calls visit(x, y) for every texel of `box` with its centre in the triangle, whichever way it is wound. A centre on an
// edge belongs to one of the two triangles there. Triangles without area cover nothing.
template <class Visit>
void for_texels_inside(TexelTriangle t, const TexelBox& box, const Visit& visit) {
  const double area = edge_side(t[0], t[1], t[2]);
  if (area == 0 || !std::isfinite(area)) return;
  if (area < 0) std::swap(t[1], t[2]);
  const auto inside = [](const TexelPoint& a, const TexelPoint& b, const TexelPoint& p) {
    const double side = edge_side(a, b, p);
    return side > 0 || (side == 0 && (b[1] < a[1] || (b[1] == a[1] && b[0] > a[0])));
  };
  for_texels_near(t, 0, box, [&](int x, int y) {
    const TexelPoint p{x + 0.5, y + 0.5};
    if (inside(t[0], t[1], p) && inside(t[1], t[2], p) && inside(t[2], t[0], p)) visit(x, y);
  });
}

// The point of the triangle closest to `p`, as weights of its corners.
std::array<double, 3> closest_weights(const TexelTriangle& t, const TexelPoint& p);

// Where the corners with these weights are.
inline TexelPoint weighted(const TexelTriangle& t, const std::array<double, 3>& w) {
  return {w[0] * t[0][0] + w[1] * t[1][0] + w[2] * t[2][0], w[0] * t[0][1] + w[1] * t[1][1] + w[2] * t[2][1]};
}

}  // namespace espalier::bake
