#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mesh/import_internal.h"

namespace espalier::mesh::internal {

// Adds the materials of a Wavefront MTL file to the scene, converted as Blender's importer does: roughness
// 1 - sqrt(Ns / 1000), metallic from Ka for the reflective illumination models, Pr and Pm override both. Lines that
// are not understood are ignored; `ids` maps names to Scene::materials. Textures that are missing, broken or outside
// the root become warnings. UNREADABLE: too many materials.
Status read_mtl(std::string_view text, const Companions& companions, const ImportLimits& limits, TextureStore& textures,
                Scene& scene, std::unordered_map<std::string, int32_t>& ids);

}  // namespace espalier::mesh::internal
