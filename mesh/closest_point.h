#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/status.h"
#include "mesh/surface.h"

namespace espalier::mesh {

// Answers which point of a surface is closest, by a tree of boxes over its triangles. Thread-safe.
class ClosestPoint {
 public:
  struct Hit {
    Vec3 point;
    float distance;
    uint32_t triangle;  // of several equally close ones, any
  };

  // INVALID_ARGUMENT: no triangles, or as validate(). Keeps a copy of the corners.
  static Result<ClosestPoint> over(const Surface& surface);

  // `guess`: a triangle that may be near, which makes the search shorter; of several equally close ones it is the hit.
  Hit find(const Vec3& from, uint32_t guess = 0) const;

 private:
  using Point = std::array<double, 3>;
  struct Box {
    Vec3 low, high;
  };
  // Leaf: triangles first .. first + count of order_. Inner node: the children are the next node and `second`.
  struct Node {
    Box box;
    uint32_t first = 0, count = 0, second = 0;
  };

  ClosestPoint() = default;
  uint32_t add_node(uint32_t begin, uint32_t end);
  static double distance2(const Box& box, const Point& from);
  void visit_triangle(uint32_t triangle, const Point& from, double& best, Hit& hit) const;

  std::vector<std::array<Vec3, 3>> corners_;  // by triangle
  std::vector<uint32_t> order_;
  std::vector<Node> nodes_;
};

}  // namespace espalier::mesh
