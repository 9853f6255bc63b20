#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mesh/scene.h"

namespace espalier::mesh::internal {

inline constexpr size_t kMaxPolygon = 4096;  // corners of one face; cutting takes up to their square in time

// Cuts polygons into triangles. Keeps its memory between calls; not for several threads.
class PolygonCutter {
 public:
  // n - 2 triangles of indices into `corners` (n >= 3), good until the next call, wound as the polygon. It may be
  // concave, and a hole may be joined to its outline by an edge that is run through twice. Quads are cut between
  // corners 0 and 2, or 1 and 3 where 0-2 would lie outside; larger ones are seen along their mean normal.
  // Reference: Blender's mesh_tessellate.cc for quads; Meisters, "Polygons have ears", 1975.
  std::span<const Triangle> cut(std::span<const Vec3> corners);

 private:
  struct Flat {
    double x = 0, y = 0;
    bool operator==(const Flat&) const = default;
  };

  void fan(uint32_t count);
  void cut_ears(uint32_t count);
  bool flatten(std::span<const Vec3> corners);
  bool convex() const;
  bool is_ear(size_t at) const;
  static double side(const Flat& a, const Flat& b, const Flat& p);

  std::vector<Triangle> out_;
  std::vector<Flat> flat_;
  std::vector<uint32_t> left_;  // corners not cut off yet, in order
};

}  // namespace espalier::mesh::internal
