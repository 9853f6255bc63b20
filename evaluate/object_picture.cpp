#include "evaluate/object_picture.h"

#include <algorithm>

#include "image/flatten.h"
#include "image/transfer.h"
#include "render/scene_view.h"

namespace espalier::evaluate {
namespace {

constexpr int kSamples = 16;

float to_linear(float s) { return image::srgb_to_linear(std::clamp(s, 0.0f, 1.0f)); }

mesh::Scene scene_of(const ColoredSurface& object) {
  mesh::Scene scene;
  mesh::Material material = mesh::default_material();
  if (!object.colors.empty()) material.base_color = {1, 1, 1};
  scene.materials.push_back(material);
  mesh::Mesh& mesh = scene.meshes.emplace_back();
  mesh.positions = object.surface.positions;
  mesh.triangles = object.surface.triangles;
  mesh.material_ids.assign(mesh.triangles.size(), 0);
  for (const mesh::Vec3& c : object.colors)
    mesh.colors.push_back({to_linear(c[0]), to_linear(c[1]), to_linear(c[2]), 1});
  return scene;
}

render::Lighting lighting() {
  render::Lighting result;
  result.environment = 0.5f;
  result.lights.push_back({.position = {3, -1, 5}, .radius = 1.5f, .power = 700});
  return result;
}

}  // namespace

Result<image::Image> object_picture(const ColoredSurface& object, int size) {
  if (object.surface.triangles.empty()) {
    return image::Image{size, size, 3, std::vector<uint8_t>(static_cast<size_t>(size) * size * 3, 255)};
  }
  ESP_ASSIGN(const auto tracer, render::SceneTracer::make(scene_of(object)));
  render::ViewOptions options;
  options.size = size;
  options.samples = kSamples;
  ESP_ASSIGN(const image::Image rgba, tracer.render(color_cameras().front(), lighting(), options));
  return image::flattened(rgba, 255);
}

}  // namespace espalier::evaluate
