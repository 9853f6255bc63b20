#pragma once

#include <span>
#include <vector>

#include "mesh/face_tally.h"
#include "mesh/import_internal.h"
#include "mesh/polygon.h"

namespace espalier::mesh::internal::ply {

// Faces of a file become triangles of a mesh. Vertices may come after them.
class Faces {
 public:
  Faces(uint64_t vertices, const ImportLimits& limits, Mesh& mesh, FaceTally& tally)
      : vertices_(vertices), limits_(limits), mesh_(mesh), tally_(tally) {}

  Status polygon(const std::vector<double>& corners);
  // Corners of a triangle strip one after the other; a negative one ends the strip and begins the next.
  Status strip_corner(double corner);
  void end_strip() { strip_.clear(), turn_ = false; }

 private:
  bool usable(std::span<const double> corners);
  Status check_limit() const {
    return mesh_.triangles.size() > limits_.max_faces ? check_counts(mesh_.triangles.size(), 0, limits_)
                                                      : absl::OkStatus();
  }

  uint64_t vertices_;
  const ImportLimits& limits_;
  Mesh& mesh_;
  FaceTally& tally_;
  PolygonCutter cutter_;
  std::vector<Vec3> places_;
  std::vector<double> strip_;  // its last corners, three at most
  bool turn_ = false;          // every second triangle of a strip runs the other way
  uint64_t rows_ = 0;
};

}  // namespace espalier::mesh::internal::ply
