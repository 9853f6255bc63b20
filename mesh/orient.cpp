#include <algorithm>
#include <array>
#include <cmath>

#include "mesh/edges.h"
#include "mesh/surface.h"

namespace espalier::mesh {
namespace {

using internal::Side;
using Point = std::array<double, 3>;

// Sets of triangles with, for each, whether it has to be turned to wind like the first of its set: disjoint sets with a
// bit on every link. The bits along the way to the root add up to a triangle's own, so two sets are joined by one link
// whose bit makes the pair fit.
class Windings {
 public:
  explicit Windings(size_t count) : parent_(count), turned_(count) {
    for (uint32_t t = 0; t < count; ++t) parent_[t] = t;
  }

  struct Place {
    uint32_t part;
    bool turned;
  };

  Place find(uint32_t triangle) {
    bool turned = false;
    uint32_t root = triangle;
    for (; parent_[root] != root; root = parent_[root]) turned ^= turned_[root];
    const Place place{root, turned};
    while (parent_[triangle] != root && triangle != root) {  // shorten the way
      const uint32_t next = parent_[triangle];
      const bool step = turned_[triangle];
      parent_[triangle] = root;
      turned_[triangle] = turned;
      turned ^= step;
      triangle = next;
    }
    return place;
  }

  // `opposed`: one of the two has to be turned against the other.
  void join(uint32_t a, uint32_t b, bool opposed) {
    const Place first = find(a), second = find(b);
    if (first.part == second.part) return;
    const auto [low, high] = std::minmax(first.part, second.part);
    parent_[high] = low;
    turned_[high] = first.turned ^ second.turned ^ opposed;
  }

 private:
  std::vector<uint32_t> parent_;
  std::vector<bool> turned_;  // relative to the parent
};

Point minus(const Vec3& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

// Six times the volume between the triangle and the point.
double volume(const Surface& surface, const Triangle& t, const Point& from) {
  const Point a = minus(surface.positions[t[0]], from), b = minus(surface.positions[t[1]], from),
              c = minus(surface.positions[t[2]], from);
  return a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
}

Point middle(const Surface& surface) {
  Point sum{};
  for (const Vec3& p : surface.positions) {
    for (size_t a = 0; a < 3; ++a) sum[a] += p[a];
  }
  for (double& x : sum) x /= static_cast<double>(std::max<size_t>(surface.positions.size(), 1));
  return sum;
}

}  // namespace

Status orient(Surface& surface) {
  ESP_TRY(validate(surface));
  Windings windings(surface.triangles.size());
  const auto from = [&](const Side& side) { return surface.triangles[side.triangle][side.corner]; };
  internal::for_shared_edges(internal::sorted_sides(surface.triangles), [&](const Side& a, const Side& b) {
    windings.join(a.triangle, b.triangle, from(a) == from(b));
  });
  const Point center = middle(surface);
  std::vector<double> volumes(surface.triangles.size());  // by part
  for (uint32_t t = 0; t < volumes.size(); ++t) {
    const auto [part, turned] = windings.find(t);
    const double own = volume(surface, surface.triangles[t], center);
    volumes[part] += turned ? -own : own;
  }
  for (uint32_t t = 0; t < volumes.size(); ++t) {
    const auto [part, turned] = windings.find(t);
    if (turned != (volumes[part] < 0)) std::swap(surface.triangles[t][1], surface.triangles[t][2]);
  }
  return absl::OkStatus();
}

std::vector<Vec3> vertex_normals(const Surface& surface) {
  std::vector<Point> sums(surface.positions.size());
  for (const Triangle& t : surface.triangles) {
    const Vec3& origin = surface.positions[t[0]];
    const Point base{origin[0], origin[1], origin[2]};
    const Point u = minus(surface.positions[t[1]], base), v = minus(surface.positions[t[2]], base);
    const Point n{u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
    for (const uint32_t vertex : t) {
      for (size_t a = 0; a < 3; ++a) sums[vertex][a] += n[a];
    }
  }
  std::vector<Vec3> out;
  out.reserve(sums.size());
  for (const Point& n : sums) {
    const double length = std::hypot(n[0], n[1], n[2]);
    out.push_back(length > 0 ? Vec3{static_cast<float>(n[0] / length), static_cast<float>(n[1] / length),
                                    static_cast<float>(n[2] / length)}
                             : Vec3{0, 0, 1});
  }
  return out;
}

}  // namespace espalier::mesh
