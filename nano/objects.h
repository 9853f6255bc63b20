#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mesh/scene.h"
#include "nano/paint.h"

// The objects the nano base is trained on: simple solids and small compositions of them, in random proportions,
// colours and materials. Object `index` of a seed is always the same, and independent of all others.
namespace espalier::nano {

struct Object {
  std::string family;  // one of families()
  mesh::Scene scene;   // in canonical pose, normalised to [-0.5, 0.5]^3
};

// The names of the families.
std::span<const std::string_view> families();

// Objects with consecutive indices run through the families, so any long enough range has all of them in the same
// shares.
Object make_object(uint64_t seed, uint32_t index);

// Views turn about the vertical axis at random, so a heading would be unknowable from a picture without a rule: the
// longer horizontal side lies along x, and the centre of the surface towards +x (or, if it has x = 0, towards +y).
// Turns `scene` by a multiple of 90 degrees about z. Returns false when both of the centre's coordinates are 0, so
// that a half turn is left undecided.
bool turn_to_canonical_pose(mesh::Scene& scene);

// The mirror image of an object in canonical pose is its reflection in y when the centre lies towards +x, but the
// reflection in x when it lies towards +y. True for the former.
bool mirrors_in_y(const mesh::Scene& scene);

// A scene of parts with a material each, as all generators here build them.
class SceneBuilder {
 public:
  // Both return the material's id.
  int32_t add_material(const mesh::Vec3& base_color, float metallic, float roughness);
  int32_t add_tiles(std::span<const Paint> paints, int columns) { return nano::add_tiles(scene_, paints, columns); }
  void add(mesh::Mesh mesh, int32_t material);
  mesh::Scene take() { return std::move(scene_); }

 private:
  mesh::Scene scene_;
};

}  // namespace espalier::nano
