#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "mesh/surface.h"

// Which triangles meet at which edges; not for other folders.
namespace espalier::mesh::internal {

// One side of a triangle, from its corner `corner` to the next.
struct Side {
  uint32_t low, high;  // the vertices, the smaller first
  uint32_t triangle;
  uint8_t corner;

  std::array<uint32_t, 2> key() const { return {low, high}; }
};

// All sides, those of one edge together, by edge and then by triangle.
std::vector<Side> sorted_sides(const std::vector<Triangle>& triangles);

// Calls visit(first, second) for each edge of exactly two triangles, in the order of `sides`.
template <class Visit>
void for_shared_edges(std::span<const Side> sides, const Visit& visit) {
  for (size_t i = 0, end; i < sides.size(); i = end) {
    for (end = i + 1; end < sides.size() && sides[end].key() == sides[i].key();) ++end;
    if (end - i == 2) visit(sides[i], sides[i + 1]);
  }
}

}  // namespace espalier::mesh::internal
