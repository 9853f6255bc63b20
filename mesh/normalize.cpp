#include "mesh/normalize.h"

#include <algorithm>
#include <cmath>

namespace espalier::mesh {

Result<Bounds> bounds(const Scene& scene) {
  Bounds box{};
  bool first = true;
  for (const Mesh& mesh : scene.meshes) {
    for (const Vec3& p : mesh.positions) {
      if (!std::isfinite(p[0]) || !std::isfinite(p[1]) || !std::isfinite(p[2])) {
        return absl::InvalidArgumentError("NONFINITE_GEOMETRY: a vertex is not finite");
      }
      if (first) box = {p, p};
      first = false;
      for (int a = 0; a < 3; ++a) {
        box.min[a] = std::min(box.min[a], p[a]);
        box.max[a] = std::max(box.max[a], p[a]);
      }
    }
  }
  if (first) return absl::InvalidArgumentError("EMPTY_MESH: no vertices");
  return box;
}

Result<Normalization> normalize(Scene& scene) {
  ESP_ASSIGN(const Bounds box, bounds(scene));
  Normalization map;
  float side = 0;
  for (int a = 0; a < 3; ++a) {
    map.center[a] = (box.min[a] + box.max[a]) / 2;
    side = std::max(side, box.max[a] - box.min[a]);
  }
  map.scale = 1 / side * kNormalizedSide;  // in this order: PyTorch divides a number by a tensor so
  if (!(side > 0) || !std::isfinite(map.scale) || !std::isfinite(side)) {
    return absl::InvalidArgumentError("EMPTY_MESH: the bounding box has no extent");
  }
  apply(map, scene);
  return map;
}

void apply(const Normalization& map, Scene& scene) {
  for (Mesh& mesh : scene.meshes) {
    for (Vec3& p : mesh.positions) {
      for (int a = 0; a < 3; ++a) p[a] = (p[a] - map.center[a]) * map.scale;
    }
  }
}

}  // namespace espalier::mesh
