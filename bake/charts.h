#pragma once

#include <array>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "bake/texel_cover.h"
#include "common/status.h"
#include "mesh/surface.h"

namespace espalier::bake {

// Triangles laid flat, at the scale of the surface's area.
struct Chart {
  std::vector<uint32_t> faces;            // [F] of the surface, ascending
  std::vector<uint32_t> vertices;         // [V] of the surface, ascending
  std::vector<mesh::Triangle> triangles;  // [F] of `vertices`
  std::vector<TexelPoint> points;         // [V] from (0, 0) up
  TexelPoint extent{};                    // of the points
};

// Cuts a surface into charts: clusters of triangles projected along their mean normals and turned so that their boxes
// are small. Where a projection covers itself, the triangles above are taken out into charts of their own. Seen at
// `texels_per_unit`, no two triangles of a chart cover the same texel. The same for every thread count.
// No triangle may have a repeated corner. CANCELLED: stopped.
Result<std::vector<Chart>> cut_charts(const mesh::Surface& surface, double texels_per_unit, int threads,
                                      const std::stop_token& stop);

}  // namespace espalier::bake
