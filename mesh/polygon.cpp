#include "mesh/polygon.h"

#include <array>
#include <cmath>

namespace espalier::mesh::internal {
namespace {

using Point = std::array<double, 3>;

// Bounds the time that a polygon made for it can take.
constexpr size_t kTestsPerCorner = 32;

Point between(const Vec3& from, const Vec3& to) {
  return {double{to[0]} - from[0], double{to[1]} - from[1], double{to[2]} - from[2]};
}

Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Corners 1 and 3 lie on one side of the line from 0 to 2.
bool first_diagonal_is_outside(std::span<const Vec3> q) {
  const Point diagonal = between(q[0], q[2]);
  return dot(cross(between(q[0], q[1]), diagonal), cross(between(q[0], q[3]), diagonal)) > 0;
}

// Perpendicular to the polygon, twice its area long.
Point area_normal(std::span<const Vec3> corners) {
  Point sum{};
  for (size_t i = 2; i < corners.size(); ++i) {
    const Point n = cross(between(corners[0], corners[i - 1]), between(corners[0], corners[i]));
    for (size_t a = 0; a < 3; ++a) sum[a] += n[a];
  }
  return sum;
}

}  // namespace

double PolygonCutter::side(const Flat& a, const Flat& b, const Flat& p) {
  return (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
}

void PolygonCutter::fan(uint32_t count) {
  for (uint32_t k = 2; k < count; ++k) out_.push_back({0, k - 1, k});
}

// Leaves out the axis that the polygon faces most; counter-clockwise afterwards. False when it has no area.
bool PolygonCutter::flatten(std::span<const Vec3> corners) {
  const Point normal = area_normal(corners);
  size_t axis = 0;
  for (size_t a = 1; a < 3; ++a) {
    if (std::abs(normal[a]) > std::abs(normal[axis])) axis = a;
  }
  if (!(std::abs(normal[axis]) > 0)) return false;
  const size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
  flat_.clear();
  for (const Vec3& p : corners) {
    flat_.push_back(normal[axis] > 0 ? Flat{p[u], p[v]} : Flat{p[v], p[u]});
  }
  return true;
}

// Turns left at every corner, once around in all.
bool PolygonCutter::convex() const {
  const size_t n = flat_.size();
  int turns = 0;  // of the direction along x: two where the outline goes around once
  double last = 0;
  for (size_t i = 0; i < 2 * n; ++i) {  // the first time around finds the direction to begin with
    const Flat &a = flat_[i % n], &b = flat_[(i + 1) % n];
    if (side(a, b, flat_[(i + 2) % n]) < 0) return false;
    if (b.x == a.x) continue;
    if (i >= n && (b.x - a.x) * last < 0) ++turns;
    last = b.x - a.x;
  }
  return turns <= 2;
}

// The corner sticks out, and no other that is left lies in the triangle that would be cut off.
bool PolygonCutter::is_ear(size_t at) const {
  const size_t n = left_.size();
  const size_t before = (at + n - 1) % n, after = (at + 1) % n;
  const Flat &a = flat_[left_[before]], &b = flat_[left_[at]], &c = flat_[left_[after]];
  if (side(a, b, c) <= 0) return false;
  for (size_t i = 0; i < n; ++i) {
    const Flat& p = flat_[left_[i]];
    if (p == a || p == b || p == c) continue;  // also where the edge to a hole comes back
    if (side(a, b, p) >= 0 && side(b, c, p) >= 0 && side(c, a, p) >= 0) return false;
  }
  return true;
}

std::span<const Triangle> PolygonCutter::cut(std::span<const Vec3> corners) {
  out_.clear();
  const auto count = static_cast<uint32_t>(corners.size());
  if (count == 4 && first_diagonal_is_outside(corners)) {
    out_ = {{0, 1, 3}, {1, 2, 3}};
    return out_;
  }
  if (count <= 4 || !flatten(corners) || convex()) {
    fan(count);
    return out_;
  }
  cut_ears(count);
  return out_;
}

void PolygonCutter::cut_ears(uint32_t count) {
  left_.resize(count);
  for (uint32_t i = 0; i < count; ++i) left_[i] = i;
  size_t at = 0, tried = 0;  // since the last ear
  for (size_t budget = kTestsPerCorner * count; left_.size() > 3;) {
    const size_t n = left_.size();
    // Where nothing is an ear the outline crosses itself: any corner is as good.
    if (budget > 0 && tried < n && !is_ear(at)) {
      at = (at + 1) % n;
      ++tried;
      --budget;
      continue;
    }
    out_.push_back({left_[(at + n - 1) % n], left_[at], left_[(at + 1) % n]});
    left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(at));
    at %= n - 1;
    tried = 0;
  }
  out_.push_back({left_[0], left_[1], left_[2]});
}

}  // namespace espalier::mesh::internal
