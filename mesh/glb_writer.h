#pragma once

#include <string>

#include "common/status.h"
#include "mesh/scene.h"

namespace espalier::mesh {

enum class TextureFormat {
  kPng,
  kJpeg,  // smaller; what has an alpha that is used stays PNG
  kWebp,  // smallest; readers must know the extension EXT_texture_webp
};

struct GlbOptions {
  std::string generator = "Espalier";
  TextureFormat texture_format = TextureFormat::kPng;
  int texture_quality = 90;  // 1..100, of JPEG and WebP
  int threads = 0;           // that encode textures; 0: one per core
};

// The scene as a binary glTF 2.0 file, Y up ((x, y, z) -> (x, z, -y)). Equal scenes give equal bytes.
//
// One node per mesh, one primitive per material of the mesh. Textures are embedded; each image is written once. The
// separate alpha, metallic and roughness textures of a Material are packed into glTF's base colour and
// metallic-roughness images when they are not already channels of one image. Normals, uvs and linear vertex colours
// are written where present. Faces with no material get default_material().
// INVALID_ARGUMENT: a texture quality out of range, the scene violates validate(), has no triangles, or would pass
// glTF's 4 GiB limit.
Result<std::string> write_glb(const Scene& scene, const GlbOptions& options = {});

}  // namespace espalier::mesh
