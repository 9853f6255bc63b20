#pragma once

#include <array>
#include <cmath>
#include <functional>

#include "mesh/normalize.h"
#include "mesh/scene.h"
#include "render/scene_view.h"
#include "tests/bake/volumes.h"

// Scenes with materials that go to voxels and back, and what they look like.
namespace espalier::bake {

inline mesh::Texture texture(int image, int channel = 0) {
  mesh::Texture out;
  out.image = image;
  out.channel = channel;
  out.wrap_u = out.wrap_v = mesh::Wrap::kClamp;
  return out;
}

inline image::Image drawn(int size, int channels, const std::function<std::array<double, 4>(double, double)>& color) {
  image::Image out{size, size, channels, {}};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const auto c = color((x + 0.5) / size, (y + 0.5) / size);
      for (int k = 0; k < channels; ++k) out.pixels.push_back(static_cast<uint8_t>(255 * c[static_cast<size_t>(k)]));
    }
  }
  return out;
}

// Each side of a box with its own part of a colourful picture.
inline mesh::Scene textured_box() {
  mesh::Scene scene;
  scene.images = {drawn(256, 3, [](double u, double v) {
    return std::array{0.5 + 0.4 * std::sin(9 * u), 0.5 + 0.4 * std::cos(8 * v), 0.5 + 0.4 * std::sin(7 * (u + v)), 1.0};
  })};
  mesh::Material m;
  m.roughness = 0.8f;
  m.base_color_texture = texture(0);
  scene.materials = {m};
  mesh::Mesh box;
  for (int side = 0; side < 6; ++side) {
    const auto axis = static_cast<size_t>(side / 2), right = (axis + 1) % 3, up = (axis + 2) % 3;
    const float at = side % 2 ? 0.35f : -0.35f, extent[] = {0.35f, 0.3f, 0.25f};
    const auto first = static_cast<uint32_t>(box.positions.size());
    for (int corner = 0; corner < 4; ++corner) {
      const int u = corner == 1 || corner == 2, v = corner >= 2;
      mesh::Vec3 p;
      p[axis] = at / 0.35f * extent[axis];
      p[right] = (u ? 1.f : -1.f) * extent[right];
      p[up] = (v ? 1.f : -1.f) * extent[up];
      box.positions.push_back(p);
      box.uvs.push_back({(static_cast<float>(side % 3) + static_cast<float>(u)) / 3,
                         (static_cast<float>(side / 3) + static_cast<float>(v)) / 2});
    }
    box.triangles.push_back({first, first + 1, first + 2});
    box.triangles.push_back({first, first + 2, first + 3});
  }
  box.material_ids.assign(12, 0);
  scene.meshes = {box};
  return scene;
}

// Three by three balls, rougher to the right and more metallic to the top.
inline mesh::Scene ball_grid() {
  mesh::Scene scene;
  // A texture: constant colours are stored as they are, not as textures are (see pbr_voxels).
  scene.images = {drawn(4, 3, [](double, double) { return std::array{0.9, 0.6, 0.3, 1.0}; })};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      mesh::Material m;
      m.base_color_texture = texture(0);
      m.metallic = static_cast<float>(row) / 2;
      m.roughness = 0.2f + 0.3f * static_cast<float>(column);
      const auto ball = ovoxel::moved(ovoxel::sphere(0.13f, 16, 32),
                                      {0.3f * static_cast<float>(column - 1), 0, 0.3f * static_cast<float>(row - 1)});
      mesh::Mesh part;
      part.positions = ball.positions;
      part.triangles = ball.triangles;
      part.uvs.assign(ball.positions.size(), {0.5f, 0.5f});
      part.normals = mesh::vertex_normals(surface_of(ball));
      part.material_ids.assign(ball.triangles.size(), static_cast<int>(scene.materials.size()));
      scene.materials.push_back(m);
      scene.meshes.push_back(part);
    }
  }
  return scene;
}

// A square of which only a disk is there.
inline mesh::Scene leaf_card() {
  mesh::Scene scene;
  scene.images = {drawn(256, 4, [](double u, double v) {
    const bool inside = std::hypot(u - 0.5, v - 0.5) < 0.4;
    return std::array{0.2 + 0.6 * u, 0.7, 0.2 + 0.3 * v, inside ? 1.0 : 0.0};
  })};
  mesh::Material m;
  m.roughness = 0.9f;
  m.base_color_texture = texture(0);
  m.alpha_texture = texture(0, 3);
  m.alpha_mode = mesh::AlphaMode::kMask;
  scene.materials = {m};
  mesh::Mesh card;
  card.positions = {{-0.45f, 0.003f, -0.45f}, {0.45f, 0.003f, -0.45f}, {0.45f, 0.003f, 0.45f}, {-0.45f, 0.003f, 0.45f}};
  card.uvs = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  card.triangles = {{0, 1, 2}, {0, 2, 3}};
  card.material_ids = {0, 0};
  scene.meshes = {card};
  return scene;
}

inline image::Image picture(const mesh::Scene& scene) {
  render::Lighting light;
  light.lights = {{{2, -4, 4}, 1.5f, 900}};
  light.environment = 0.6f;
  const render::Camera camera{-1.2, 0.3, 2.4, 0.8};
  render::ViewOptions options;
  options.size = 96;
  options.samples = 32;
  options.threads = 2;
  options.mask_as_blend = false;
  return *render::SceneTracer::make(scene)->render(camera, light, options);
}

}  // namespace espalier::bake
