#include "nano/paint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace espalier::nano {
namespace {

using mesh::Vec3;

uint8_t as_byte(float value) { return static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0f, 1.0f))); }

// IEC 61966-2-1.
float srgb_of_linear(float value) {
  return value <= 0.0031308f ? 12.92f * value : 1.055f * std::pow(value, 1 / 2.4f) - 0.055f;
}

float dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vec3 random_direction(PhiloxStream& random) {
  Vec3 direction{};
  for (float& value : direction) value = static_cast<float>(random.normal());
  const float length = std::sqrt(dot(direction, direction));
  for (float& value : direction) value /= length;
  return direction;
}

Paint random_paint(PhiloxStream& random, bool transparent) {
  const auto in = [&](double low, double high) { return static_cast<float>(random.uniform(low, high)); };
  Paint paint{{in(0, 1), in(0, 1), in(0, 1)}};
  paint.metallic = random.below(2) == 0 ? static_cast<float>(random.below(2)) : in(0, 1);
  paint.roughness = in(0, 1);
  if (transparent) paint.alpha = in(0, 1);
  return paint;
}

int add_image(mesh::Scene& scene, int columns, int channels, std::vector<uint8_t> pixels) {
  const int height = static_cast<int>(pixels.size()) / (columns * channels);
  scene.images.push_back({columns, height, channels, std::move(pixels)});
  return static_cast<int>(scene.images.size()) - 1;
}

int32_t random_tiles(mesh::Scene& scene, PhiloxStream& random) {
  constexpr std::array<std::pair<size_t, int>, 5> kTilings{{{1, 1}, {2, 2}, {4, 2}, {3, 3}, {16, 4}}};
  const auto [count, columns] = kTilings[random.below(kTilings.size())];
  const bool transparent = random.uniform() < 0.15;
  std::vector<Paint> paints;
  for (size_t i = 0; i < count; ++i) paints.push_back(random_paint(random, transparent));
  if (count == 4) {  // a checkerboard
    paints[2] = paints[1];
    paints[3] = paints[0];
  }
  return add_tiles(scene, paints, columns, random.below(2) == 0 ? mesh::Filter::kNearest : mesh::Filter::kLinear);
}

}  // namespace

int32_t add_tiles(mesh::Scene& scene, std::span<const Paint> paints, int columns, mesh::Filter filter) {
  std::vector<uint8_t> colors, surfaces;
  bool transparent = false;
  for (const Paint& paint : paints) {
    for (const float value : paint.color) colors.push_back(as_byte(value));
    colors.push_back(as_byte(paint.alpha));
    surfaces.insert(surfaces.end(), {0, as_byte(paint.roughness), as_byte(paint.metallic)});
    transparent |= paint.alpha < 1;
  }
  mesh::Texture texture{.filter = filter};
  mesh::Material material;
  material.name = absl::StrCat("tiles ", scene.materials.size());
  material.metallic = material.roughness = 1;  // factors of the textures
  texture.image = add_image(scene, columns, 4, std::move(colors));
  material.base_color_texture = texture;
  if (transparent) {
    material.alpha_mode = mesh::AlphaMode::kBlend;
    material.alpha_texture = texture;
    material.alpha_texture->channel = 3;
  }
  texture.image = add_image(scene, columns, 3, std::move(surfaces));
  texture.channel = 1;
  material.roughness_texture = texture;
  texture.channel = 2;
  material.metallic_texture = texture;
  scene.materials.push_back(std::move(material));
  return static_cast<int32_t>(scene.materials.size()) - 1;
}

mesh::Mesh mapped(mesh::Mesh mesh, const Vec3& u, const Vec3& v) {
  mesh.uvs.clear();
  for (const Vec3& p : mesh.positions) mesh.uvs.push_back({dot(p, u), dot(p, v)});
  return mesh;
}

void color_by_textures(mesh::Scene& scene) {
  for (mesh::Material& material : scene.materials) {
    if (material.base_color_texture) continue;
    std::vector<uint8_t> pixel;
    for (const float value : std::exchange(material.base_color, {1, 1, 1})) {
      pixel.push_back(as_byte(srgb_of_linear(value)));
    }
    material.base_color_texture = mesh::Texture{.image = add_image(scene, 1, 3, std::move(pixel))};
  }
}

void paint_at_random(mesh::Scene& scene, PhiloxStream& random) {
  constexpr double kKept = 0.25;  // parts in one colour, as the objects have them
  for (mesh::Mesh& mesh : scene.meshes) {
    if (random.uniform() < kKept) continue;
    const int32_t material = random_tiles(scene, random);
    Vec3 u = random_direction(random), v = random_direction(random);
    for (float& value : u) value *= static_cast<float>(random.uniform(0.5, 4));
    for (float& value : v) value *= static_cast<float>(random.uniform(0.5, 4));
    mesh = mapped(std::move(mesh), u, v);
    mesh.material_ids.assign(mesh.triangles.size(), material);
  }
}

}  // namespace espalier::nano
