#pragma once

#include <string>

#include "mesh/glb_writer.h"
#include "mesh/scene.h"

namespace espalier::preprocess::testing {

// An axis-aligned box with one coloured material.
inline mesh::Scene box(float x, float y, float z) {
  mesh::Mesh mesh;
  for (int i = 0; i < 8; ++i)
    mesh.positions.push_back({(i & 1) != 0 ? x : 0.0f, (i & 2) != 0 ? y : 0.0f, (i & 4) != 0 ? z : 0.0f});
  mesh.triangles = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
                    {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  mesh.material_ids.assign(mesh.triangles.size(), 0);
  mesh::Material material;
  material.base_color = {0.8f, 0.2f, 0.1f};
  mesh::Scene scene;
  scene.meshes.push_back(mesh);
  scene.materials.push_back(material);
  return scene;
}

inline std::string box_glb(float x, float y, float z) { return *mesh::write_glb(box(x, y, z)); }

}  // namespace espalier::preprocess::testing
