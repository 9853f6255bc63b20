#pragma once

#include <cstdint>
#include <vector>

#include "mesh/surface.h"

namespace espalier::bake {

// Connected groups of triangles, each flat enough to be seen from one direction, but for a few.
struct Clusters {
  std::vector<uint32_t> of_triangle;  // [F] 0 .. count - 1, numbered by their first triangles
  size_t count = 0;
};

// Joins neighbouring triangles into clusters in rounds: the pair that is cheapest for both of its sides joins, until
// none may. Costs are the angle of the cone around all normals, the area and how ragged the outline is; a pair may not
// join when the cone gets wider than 90 degrees to each side, or when the cluster seen along its mean normal would lose
// more than a quarter of its area. Nearly linear in time; the same for every thread count. No triangle may have a
// repeated corner. Reference: CuMesh, compute_charts.
Clusters cluster_triangles(const mesh::Surface& surface, int threads);

}  // namespace espalier::bake
