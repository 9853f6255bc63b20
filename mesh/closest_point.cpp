#include "mesh/closest_point.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace espalier::mesh {
namespace {

using Point = std::array<double, 3>;

constexpr uint32_t kLeafTriangles = 4;
constexpr size_t kMostPending = 64;  // halving 2^32 triangles is not deeper

Point point_of(const Vec3& v) { return {v[0], v[1], v[2]}; }
Point minus(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// a + s u + t v
Point along(const Point& a, const Point& u, double s, const Point& v = {}, double t = 0) {
  return {a[0] + s * u[0] + t * v[0], a[1] + s * u[1] + t * v[1], a[2] + s * u[2] + t * v[2]};
}

// By the region of the triangle's plane that `p` projects to: corner, edge or inside.
// Reference: Ericson, Real-Time Collision Detection (2005), 5.1.5.
Point closest_on_triangle(const std::array<Vec3, 3>& corners, const Point& p) {
  const Point a = point_of(corners[0]), b = point_of(corners[1]), c = point_of(corners[2]);
  const Point ab = minus(b, a), ac = minus(c, a), ap = minus(p, a);
  const double d1 = dot(ab, ap), d2 = dot(ac, ap);
  if (d1 <= 0 && d2 <= 0) return a;
  const Point bp = minus(p, b);
  const double d3 = dot(ab, bp), d4 = dot(ac, bp);
  if (d3 >= 0 && d4 <= d3) return b;
  const double vc = d1 * d4 - d3 * d2;
  if (vc <= 0 && d1 >= 0 && d3 <= 0) return along(a, ab, d1 / (d1 - d3));
  const Point cp = minus(p, c);
  const double d5 = dot(ab, cp), d6 = dot(ac, cp);
  if (d6 >= 0 && d5 <= d6) return c;
  const double vb = d5 * d2 - d1 * d6;
  if (vb <= 0 && d2 >= 0 && d6 <= 0) return along(a, ac, d2 / (d2 - d6));
  const double va = d3 * d6 - d5 * d4;
  if (va <= 0 && d4 >= d3 && d5 >= d6) return along(b, minus(c, b), (d4 - d3) / ((d4 - d3) + (d5 - d6)));
  const double sum = va + vb + vc;
  return along(a, ab, vb / sum, ac, vc / sum);
}

double middle(const std::array<Vec3, 3>& corners, size_t axis) {
  return double{corners[0][axis]} + corners[1][axis] + corners[2][axis];
}

}  // namespace

// Halves the triangles at the median of their middles along the longest axis. Nodes stand in preorder, so the first
// child is the next node.
uint32_t ClosestPoint::add_node(uint32_t begin, uint32_t end) {
  const auto index = static_cast<uint32_t>(nodes_.size());
  Box box{corners_[order_[begin]][0], corners_[order_[begin]][0]};
  Point low, high;
  low.fill(std::numeric_limits<double>::infinity());
  high.fill(-std::numeric_limits<double>::infinity());
  for (uint32_t i = begin; i < end; ++i) {
    const auto& corners = corners_[order_[i]];
    for (size_t a = 0; a < 3; ++a) {
      for (const Vec3& corner : corners) {
        box.low[a] = std::min(box.low[a], corner[a]);
        box.high[a] = std::max(box.high[a], corner[a]);
      }
      low[a] = std::min(low[a], middle(corners, a));
      high[a] = std::max(high[a], middle(corners, a));
    }
  }
  nodes_.push_back({box, begin, end - begin, 0});
  if (end - begin <= kLeafTriangles) return index;
  const Point extent = minus(high, low);
  const auto axis = static_cast<size_t>(std::max_element(extent.begin(), extent.end()) - extent.begin());
  const uint32_t half = begin + (end - begin) / 2;
  std::nth_element(order_.begin() + begin, order_.begin() + half, order_.begin() + end,
                   [&](uint32_t a, uint32_t b) { return middle(corners_[a], axis) < middle(corners_[b], axis); });
  nodes_[index].count = 0;
  add_node(begin, half);
  const uint32_t second = add_node(half, end);
  nodes_[index].second = second;
  return index;
}

Result<ClosestPoint> ClosestPoint::over(const Surface& surface) {
  ESP_TRY(validate(surface));
  if (surface.triangles.empty()) return absl::InvalidArgumentError("a surface without triangles has no closest point");
  ClosestPoint tree;
  for (const Triangle& t : surface.triangles) {
    tree.corners_.push_back({surface.positions[t[0]], surface.positions[t[1]], surface.positions[t[2]]});
  }
  tree.order_.resize(tree.corners_.size());
  std::iota(tree.order_.begin(), tree.order_.end(), 0u);
  tree.add_node(0, static_cast<uint32_t>(tree.order_.size()));
  return tree;
}

inline void ClosestPoint::visit_triangle(uint32_t triangle, const Point& from, double& best, Hit& hit) const {
  const Point near = closest_on_triangle(corners_[triangle], from);
  const Point way = minus(near, from);
  const double squared = dot(way, way);
  if (!(squared < best)) return;
  best = squared;
  hit.point = {static_cast<float>(near[0]), static_cast<float>(near[1]), static_cast<float>(near[2])};
  hit.triangle = triangle;
}

// Of the point to the box, squared; inlined, as find() does little else.
inline double ClosestPoint::distance2(const Box& box, const Point& from) {
  double sum = 0;
  for (size_t a = 0; a < 3; ++a) {
    const double outside = std::max({double{box.low[a]} - from[a], from[a] - double{box.high[a]}, 0.0});
    sum += outside * outside;
  }
  return sum;
}

// Depth first, the nearer child first; what is as far as the best point found is left out. A level leaves one node
// pending at most.
ClosestPoint::Hit ClosestPoint::find(const Vec3& vertex, uint32_t guess) const {
  const Point from = point_of(vertex);
  struct Pending {
    uint32_t node;
    double distance2;
  };
  std::array<Pending, kMostPending> pending;
  size_t count = 0;
  pending[count++] = {0, distance2(nodes_[0].box, from)};
  Hit hit{};
  double best = std::numeric_limits<double>::infinity();
  visit_triangle(guess, from, best, hit);
  while (count > 0) {
    const Pending next = pending[--count];
    if (next.distance2 >= best) continue;
    const Node& node = nodes_[next.node];
    if (node.count > 0) {
      for (uint32_t i = node.first; i < node.first + node.count; ++i) visit_triangle(order_[i], from, best, hit);
      continue;
    }
    Pending near{next.node + 1, distance2(nodes_[next.node + 1].box, from)};
    Pending far{node.second, distance2(nodes_[node.second].box, from)};
    if (near.distance2 > far.distance2) std::swap(near, far);
    pending[count++] = far;
    pending[count++] = near;
  }
  hit.distance = static_cast<float>(std::sqrt(best));
  return hit;
}

}  // namespace espalier::mesh
