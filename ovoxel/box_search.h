#pragma once

#include "mesh/scene.h"
#include "ovoxel/quadric.h"

// Where in its voxel a dual vertex lies; not for other folders.
namespace espalier::ovoxel::internal {

struct Box {
  mesh::Vec3 low, high;
};

// The point of the box with the least error: the free minimum when it lies inside, else the best of the minima on
// faces, edges and corners.
mesh::Vec3 minimize_in_box(const Quadric& quadric, const Box& box);

}  // namespace espalier::ovoxel::internal
