#pragma once

#include <cstdint>
#include <vector>

#include "mesh/surface.h"

namespace espalier::bake {

// An edge that exactly two triangles share.
struct Border {
  uint32_t first, second;  // the triangles, the lower one first
  float length;
};

// All of them, in an order that depends only on the surface. No triangle may have a repeated corner.
std::vector<Border> shared_borders(const mesh::Surface& surface, int threads);

}  // namespace espalier::bake
