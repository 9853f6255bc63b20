#include "mesh/surface.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::mesh {

Status validate(const Surface& surface) {
  for (size_t i = 0; i < surface.positions.size(); ++i) {
    for (const float x : surface.positions[i]) {
      if (!std::isfinite(x)) return absl::InvalidArgumentError(absl::StrCat("vertex ", i, " is not finite"));
    }
  }
  for (size_t i = 0; i < surface.triangles.size(); ++i) {
    for (const uint32_t vertex : surface.triangles[i]) {
      if (vertex >= surface.positions.size()) {
        return absl::InvalidArgumentError(absl::StrCat("triangle ", i, " has an index out of range"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace espalier::mesh
