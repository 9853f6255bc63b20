#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "image/image.h"

// The one in-memory form of a 3D asset between import, voxelisation, rendering and export.
//
// Frame: right-handed, Z up (Y-up formats are rotated (x, y, z) -> (x, -z, y) at import). Units are the file's until
// normalised. Plain data: copyable, no invariants beyond those stated; validate() checks them.
namespace espalier::mesh {

using Vec2 = std::array<float, 2>;
using Vec3 = std::array<float, 3>;
using Vec4 = std::array<float, 4>;
using Triangle = std::array<uint32_t, 3>;

enum class Wrap { kRepeat, kMirror, kClamp };
enum class Filter { kLinear, kNearest };

// One image channel set used by a material. Pixels are stored values (sRGB-encoded for colours); row 0 is the top and
// v grows downwards (glTF convention): texel row = v * height.
struct Texture {
  int image = -1;  // index into Scene::images
  Wrap wrap_u = Wrap::kRepeat;
  Wrap wrap_v = Wrap::kRepeat;
  Filter filter = Filter::kLinear;
  int channel =
      0;  // first channel read (0 for colour; metallic 2, roughness 1 of a glTF metallic-roughness image; alpha 3)
};

enum class AlphaMode { kOpaque, kMask, kBlend };

struct Material {
  std::string name;
  Vec3 base_color{1, 1, 1};  // linear factor
  float alpha = 1;
  float metallic = 0;
  float roughness = 0.5f;
  Vec3 emissive{0, 0, 0};  // linear, strength included (may exceed 1)
  bool unlit = false;      // base colour is shown as is
  AlphaMode alpha_mode = AlphaMode::kOpaque;
  float alpha_cutoff = 0.5f;
  bool double_sided = true;
  std::optional<Texture> base_color_texture;
  std::optional<Texture> alpha_texture;
  std::optional<Texture> metallic_texture;
  std::optional<Texture> roughness_texture;
  std::optional<Texture> emissive_texture;
  std::optional<Texture> normal_texture;
};

// What a face without material looks like: grey, as in Blender.
inline Material default_material() {
  Material material;
  material.name = "default";
  material.base_color = {0.8f, 0.8f, 0.8f};
  return material;
}

// A triangle mesh. Vertex attributes are per vertex; corners that need different values are different vertices.
struct Mesh {
  std::string name;
  std::vector<Vec3> positions;        // [N]
  std::vector<Vec3> normals;          // [N] unit, or empty (then faces are flat)
  std::vector<Vec2> uvs;              // [N] or empty; texture transforms of the file are already applied
  std::vector<Vec4> colors;           // [N] linear RGBA vertex colours, or empty
  std::vector<uint32_t> points;       // [N] or empty: vertices with one point id (< N) are one point of the surface,
                                      // split only by a seam of uvs or colours; empty: every vertex is its own point
  std::vector<Triangle> triangles;    // [F], indices < N
  std::vector<int32_t> material_ids;  // [F], index into Scene::materials, -1 = none
};

struct Scene {
  std::vector<Mesh> meshes;         // in world space: node transforms are already applied
  std::vector<Material> materials;  // faces with id -1 are drawn with default_material()
  std::vector<image::Image> images;
  std::vector<std::string> warnings;  // what the importer had to drop or approximate, for the asset's report
};

struct Bounds {
  Vec3 min, max;
};

// The invariants stated above: attribute lengths, index ranges, finite positions, material and image indices.
// INVALID_ARGUMENT names the mesh and the field.
Status validate(const Scene& scene);

uint64_t face_count(const Scene& scene);
uint64_t vertex_count(const Scene& scene);

}  // namespace espalier::mesh
