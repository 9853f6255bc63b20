#pragma once

#include <cstdint>
#include <vector>

#include "common/philox.h"
#include "common/status.h"
#include "mesh/surface.h"

// How far two surfaces are apart.
namespace espalier::evaluate {

// A point of a surface, and the triangle that it lies on.
struct SurfaceSample {
  mesh::Vec3 point;
  uint32_t triangle;
};

// Points drawn evenly over the area. INVALID_ARGUMENT: no area.
Result<std::vector<SurfaceSample>> surface_samples(const mesh::Surface& surface, int64_t count, PhiloxStream random);

inline constexpr double kFScoreDistance = 0.02;  // of objects in a cube of side 1

struct SurfaceAgreement {
  double chamfer = 1;  // mean of the mean distances from either surface to the other; 1 when nothing was made
  double f_score = 0;  // harmonic mean of the shares of either surface within kFScoreDistance of the other
  double normal_consistency = 0;  // mean |cosine| between the normals at a point and at the closest one, both ways
};

// Distances are from points to triangles, exact, from 4000 samples of each side. A `got` without area agrees with
// nothing. INVALID_ARGUMENT: a `want` without area.
Result<SurfaceAgreement> surface_agreement(const mesh::Surface& got, const mesh::Surface& want);

}  // namespace espalier::evaluate
