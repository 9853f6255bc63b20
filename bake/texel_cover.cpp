#include "bake/texel_cover.h"

namespace espalier::bake {
namespace {

double along(const TexelPoint& a, const TexelPoint& b, const TexelPoint& p) {
  const double x = b[0] - a[0], y = b[1] - a[1], squared = x * x + y * y;
  return squared > 0 ? std::clamp(((p[0] - a[0]) * x + (p[1] - a[1]) * y) / squared, 0.0, 1.0) : 0;
}

double distance2(const TexelPoint& a, const TexelPoint& b) {
  return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

}  // namespace

std::array<double, 3> closest_weights(const TexelTriangle& t, const TexelPoint& p) {
  const double area = edge_side(t[0], t[1], t[2]);
  if (area != 0) {
    const double u = edge_side(t[2], t[0], p) / area, v = edge_side(t[0], t[1], p) / area;
    if (u >= 0 && v >= 0 && u + v <= 1) return {1 - u - v, u, v};
  }
  std::array<double, 3> best{1, 0, 0};
  double least = std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < 3; ++k) {
    const double s = along(t[k], t[(k + 1) % 3], p);
    std::array<double, 3> w{};
    w[k] = 1 - s;
    w[(k + 1) % 3] = s;
    const double away = distance2(weighted(t, w), p);
    if (away < least) least = away, best = w;
  }
  return best;
}

}  // namespace espalier::bake
