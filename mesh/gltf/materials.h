#pragma once

#include <vector>

#include "mesh/gltf/document.h"

namespace espalier::mesh::internal {

// How a material's textures are placed on a primitive: uv' = offset + rotation * (scale * TEXCOORD_<set>).
struct UvMapping {
  int set = 0;
  double offset[2] = {0, 0};
  double scale[2] = {1, 1};
  double rotation = 0;  // radians, as KHR_texture_transform
  bool operator==(const UvMapping&) const = default;
};

// Reads all materials into the scene, in the file's order. `mappings` [materials] says which uvs each one wants; a
// material whose textures differ keeps its base colour's and gets a warning.
Status read_gltf_materials(const Document& document, const Companions& companions, TextureStore& textures, Scene& scene,
                           std::vector<UvMapping>& mappings);

}  // namespace espalier::mesh::internal
