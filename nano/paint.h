#pragma once

#include <cstdint>
#include <span>

#include "common/philox.h"
#include "mesh/scene.h"

// Materials with patterns.
namespace espalier::nano {

struct Paint {
  mesh::Vec3 color{};  // as images store it (sRGB), 0..1
  float metallic = 0;
  float roughness = 0.5f;
  float alpha = 1;
};

// Adds a material whose textures are tiles of one paint each, `columns` in a row, rows along v, repeated over the uv
// plane: two tiles make stripes, {a, b, b, a} in two columns a checkerboard. Blends when a paint is transparent.
// Returns the material's id. `paints`: a multiple of `columns`.
int32_t add_tiles(mesh::Scene& scene, std::span<const Paint> paints, int columns,
                  mesh::Filter filter = mesh::Filter::kNearest);

// Gives every vertex p the texture coordinates (p.u, p.v): the pattern repeats once per 1 / |u| along u.
mesh::Mesh mapped(mesh::Mesh mesh, const mesh::Vec3& u, const mesh::Vec3& v);

// Turns the base colours of materials without a texture into textures of a single colour: it looks the same, and the
// colours in voxels are those an image would store.
void color_by_textures(mesh::Scene& scene);

// Most parts get random tiles of one to sixteen random paints, sharp or smooth, some of them transparent.
void paint_at_random(mesh::Scene& scene, PhiloxStream& random);

}  // namespace espalier::nano
