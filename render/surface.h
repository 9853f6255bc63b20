#pragma once

#include "render/bsdf.h"
#include "render/bvh.h"

namespace espalier::render {

struct Place {
  V3 position, normal;  // normal of the face, on the side its corners run counter-clockwise; unit
};

// The triangles and materials of a scene, flattened for shading. Owns copies of everything.
struct Geometry {
  struct Corner {
    V3 normal;
    float u = 0, v = 0;
    mesh::Vec4 color{1, 1, 1, 1};
  };
  struct Face {
    int material = 0;
    bool smooth = false;
  };
  std::vector<V3> positions;              // [N]
  std::vector<Corner> corners;            // [N] attributes
  std::vector<mesh::Triangle> triangles;  // [F], indices < N
  std::vector<Face> faces;                // [F]
  std::vector<mesh::Material> materials;  // the last one stands for "no material"
  std::vector<image::Image> images;
  bool translucent = false;  // some material may have alpha below 1

  static Geometry from(const mesh::Scene& scene);
  // What a ray along `direction` sees at `hit`.
  Surface surface(V3 origin, V3 direction, const Hit& hit, bool mask_as_blend) const;
  float alpha(const Hit& hit, bool mask_as_blend) const;
  Place place(const Hit& hit) const;
};

}  // namespace espalier::render
