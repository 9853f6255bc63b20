#include "mesh/edges.h"

#include <algorithm>
#include <tuple>

namespace espalier::mesh::internal {

std::vector<Side> sorted_sides(const std::vector<Triangle>& triangles) {
  std::vector<Side> sides;
  sides.reserve(triangles.size() * 3);
  for (uint32_t t = 0; t < triangles.size(); ++t) {
    for (uint8_t k = 0; k < 3; ++k) {
      const auto [low, high] = std::minmax(triangles[t][k], triangles[t][(k + 1) % 3]);
      sides.push_back({low, high, t, k});
    }
  }
  std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) {
    return std::tie(a.low, a.high, a.triangle, a.corner) < std::tie(b.low, b.high, b.triangle, b.corner);
  });
  return sides;
}

}  // namespace espalier::mesh::internal
