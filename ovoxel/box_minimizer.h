#pragma once

#include <array>
#include <span>

#include "mesh/scene.h"
#include "ovoxel/box_search.h"
#include "ovoxel/householder.h"

namespace espalier::ovoxel::internal {

// Minimises many quadrics, each in its own box, four at a time. Every point is the one, bit for bit, that
// minimize_in_box() gives. Not for other folders.
class BoxMinimizer {
 public:
  // Writes to `points`, which must outlive this object.
  explicit BoxMinimizer(std::span<mesh::Vec3> points) : points_(points) {}

  // Sets points[index], at the latest in finish().
  void add(size_t index, const Quadric& quadric, const Box& box);
  void finish();

 private:
  struct Batch {
    size_t count = 0;
    std::array<size_t, kLanes> index{};
    std::array<Quadric, kLanes> quadrics;
    std::array<Box, kLanes> boxes;
  };

  void append(Batch& batch, size_t index, const Quadric& quadric, const Box& box);
  // Takes the free minima that lie inside; the others wait for search().
  void minimize();
  void search();

  std::span<mesh::Vec3> points_;
  Batch fresh_, outside_;
};

}  // namespace espalier::ovoxel::internal
