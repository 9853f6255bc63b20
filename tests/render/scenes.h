#pragma once

#include <numbers>

#include "render/scene_view.h"

// Small scenes and cameras for the tests of the tracer.
namespace espalier::render {

// A square of side 1 that faces +X at the given x; u grows to +Y, v grows downwards (to -Z).
inline mesh::Mesh facing_square(float x, int material = -1) {
  mesh::Mesh m;
  m.positions = {{x, -.5f, -.5f}, {x, .5f, -.5f}, {x, .5f, .5f}, {x, -.5f, .5f}};
  m.uvs = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  m.triangles = {{0, 1, 2}, {0, 2, 3}};
  m.material_ids = {material, material};
  return m;
}

inline mesh::Material unlit_material(float value, float alpha, mesh::AlphaMode mode) {
  mesh::Material material;
  material.base_color = {value, value, value};
  material.unlit = true;
  material.alpha = alpha;
  material.alpha_mode = mode;
  return material;
}

// From +X; with this view the square at x = 0 covers the middle half of the picture's sides.
inline Camera front_camera() { return {0, 0, 2, 2 * std::atan(0.5)}; }

inline Result<image::Image> render_scene(const mesh::Scene& scene, const Camera& camera, const Lighting& lighting,
                                         const ViewOptions& options) {
  ESP_ASSIGN(const SceneTracer tracer, SceneTracer::make(scene));
  return tracer.render(camera, lighting, options);
}

}  // namespace espalier::render
