#pragma once

#include <cstddef>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"

namespace espalier::mesh {

// Bare geometry: what conversions give and repairs work on.
struct Surface {
  std::vector<Vec3> positions;
  std::vector<Triangle> triangles;  // indices < positions.size()
};

// INVALID_ARGUMENT: a triangle index out of range, a position that is not finite.
Status validate(const Surface& surface);

// The reference's limit, for objects in [-0.5, 0.5]^3.
inline constexpr float kMaxHolePerimeter = 0.03f;

// Closes small holes: each closed loop of boundary edges shorter than `max_perimeter` gets a vertex in its middle (the
// mean of the edges' midpoints) and a triangle per edge, wound as the triangle across the edge. Loops that touch a
// vertex with more than two boundary edges, or an edge of three or more triangles, are left open. Returns the number of
// loops closed. New vertices and triangles are appended, in an order that depends only on the input. Triangles with a
// repeated corner do not count. Errors as validate().
// Reference: CuMesh, fill_holes.
Result<size_t> fill_holes(Surface& surface, float max_perimeter = kMaxHolePerimeter);

// The reference's limit, likewise.
inline constexpr double kSmallestComponent = 1e-5;

// Makes the surface manifold and free of crumbs: drops triangles with a repeated corner and those with the corners of
// an earlier one, splits vertices so that triangles hang together only across edges of exactly two, and drops connected
// parts of less than `smallest` area. Unused vertices go, too. Errors as validate().
// Reference: CuMesh, remove_duplicate_faces, repair_non_manifold_edges, remove_small_connected_components.
Status repair(Surface& surface, double smallest = kSmallestComponent);

// Winds the triangles of each connected part alike, and closed parts outwards (positive volume). What no winding can
// make consistent, a Moebius strip, keeps one seam. Errors as validate().
Status orient(Surface& surface);

// [N] unit normals: area-weighted means of the triangles at each vertex; (0, 0, 1) where there is none.
std::vector<Vec3> vertex_normals(const Surface& surface);

// Collapses edges until at most `target` triangles are left, keeping the topology; may stop above the target where that
// is not possible. Unused vertices and triangles with a repeated corner are dropped, the other vertices keep their
// order. Errors as validate(). Quadric error metric (Garland and Heckbert 1997) by meshoptimizer.
Result<Surface> simplify(const Surface& surface, size_t target);

}  // namespace espalier::mesh
