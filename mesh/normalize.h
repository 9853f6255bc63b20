#pragma once

#include "common/status.h"
#include "mesh/scene.h"

namespace espalier::mesh {

// The map of a normalisation: v' = (v - center) * scale.
struct Normalization {
  Vec3 center{0, 0, 0};
  float scale = 1;
};

// Exact bounds over all vertices. INVALID_ARGUMENT: no vertices, or a non-finite one.
Result<Bounds> bounds(const Scene& scene);

// Longest side of the normalised scene: a hair under one, so that no vertex lies on the grid's far side.
inline constexpr float kNormalizedSide = 0.99999f;

// Moves the scene into [-0.5, 0.5]^3: centre of the bounds to the origin, longest side to kNormalizedSide.
// Arithmetic is float32 in the reference's order: voxels of axis-aligned models depend on the last bit.
// INVALID_ARGUMENT ("EMPTY_MESH: ...") when the bounds have no extent; the scene is then unchanged.
// Reference: TRELLIS.2 data_toolkit/dual_grid.py.
Result<Normalization> normalize(Scene& scene);

// Applies a known map, e.g. to a scene that must stay aligned with another one.
void apply(const Normalization& map, Scene& scene);

}  // namespace espalier::mesh
