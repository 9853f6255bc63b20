#pragma once

#include <span>

#include "mesh/scene.h"

// Closed triangle meshes that the procedural objects are put together from.
//
// Every function returns a mesh without normals (faces are flat), without colours and without material ids, in which
// each edge belongs to exactly two triangles that run through it in opposite directions, seen counter-clockwise from
// outside. Sizes are positive; Z is up.
namespace espalier::nano {

// A box of full side lengths `size` about the origin.
mesh::Mesh box(const mesh::Vec3& size);

// The surface |x/a|, |y/b|, |z/c| with exponents 2/e_z (along z) and 2/e_xy (around z); e = 1 is an ellipsoid, small e
// is boxy, 2 is an octahedron. `radii` are half axes.
mesh::Mesh superellipsoid(const mesh::Vec3& radii, float e_z, float e_xy);

// The polyline [P >= 2] of (radius, z), turned about the z axis. It runs upwards; radii are positive except at the two
// ends, where 0 closes the surface in a point and anything else gets a flat lid.
mesh::Mesh revolve(std::span<const mesh::Vec2> profile, int segments = 32);

// A torus about the z axis; `minor` < `major`.
mesh::Mesh torus(float major, float minor);

// Cylinder, frustum or (top radius 0) cone of the given height, centred.
mesh::Mesh frustum(float bottom_radius, float top_radius, float height);

// A cylinder of `height` between two half spheres (height 0: a sphere), along z, centred.
mesh::Mesh capsule(float radius, float height);

// The prism over a polygon [P >= 3] given counter-clockwise, of which the origin sees every corner; centred in z.
mesh::Mesh prism(std::span<const mesh::Vec2> polygon, float height);

// A wall of the given thickness along the polyline [P >= 2] in the xy plane, from -height/2 to height/2.
mesh::Mesh wall(std::span<const mesh::Vec2> path, float thickness, float height);

// A round bar of constant radius along the polyline [P >= 2], with flat ends.
mesh::Mesh tube(std::span<const mesh::Vec3> path, float radius, int segments = 16);

// In place; they return their argument so that calls can be chained.
mesh::Mesh translated(mesh::Mesh mesh, const mesh::Vec3& offset);
mesh::Mesh rotated_z(mesh::Mesh mesh, float radians);
mesh::Mesh rotated_x(mesh::Mesh mesh, float radians);
mesh::Mesh rotated_y(mesh::Mesh mesh, float radians);

}  // namespace espalier::nano
