#include <gtest/gtest.h>

#include "render/filmic.h"
#include "tests/render/scenes.h"

// How textures and vertex attributes reach the picture; seen on one square that fills the view.
namespace espalier::render {
namespace {

using mesh::Filter;
using mesh::Wrap;

constexpr Camera kClose{0, 0, 2, 0.1};

image::Image pixels(int width, int height, int channels, std::vector<uint8_t> values) {
  return {width, height, channels, std::move(values)};
}

mesh::Texture texture(Wrap wrap, Filter filter) {
  mesh::Texture t;
  t.image = 0;
  t.wrap_u = t.wrap_v = wrap;
  t.filter = filter;
  return t;
}

const uint8_t* centre(const image::Image& picture) { return picture.at(picture.width / 2, picture.height / 2); }

// The square's one colour when every corner has the texture coordinate (u, v).
Result<int> unlit_byte(mesh::Scene scene, float u, float v) {
  scene.meshes = {facing_square(0, 0)};
  scene.meshes[0].uvs.assign(4, {u, v});
  ESP_ASSIGN(const image::Image picture, render_scene(scene, kClose, {}, {4, 4}));
  return centre(picture)[0];
}

float to_linear(float s) { return s <= 0.04045f ? s / 12.92f : std::pow((s + 0.055f) / 1.055f, 2.4f); }

TEST(Textures, WrapAsTheirSamplerSays) {
  const struct {
    Wrap wrap;
    float u;
    int texel;
  } rows[] = {{Wrap::kRepeat, 0.25f, 0}, {Wrap::kRepeat, 1.25f, 0},  {Wrap::kRepeat, -0.25f, 1},
              {Wrap::kMirror, 1.25f, 1}, {Wrap::kMirror, -0.25f, 0}, {Wrap::kMirror, 2.25f, 0},
              {Wrap::kClamp, 7, 1},      {Wrap::kClamp, -7, 0},      {Wrap::kClamp, 1e30f, 1}};
  const uint8_t values[] = {60, 200};
  for (const auto& row : rows) {
    mesh::Scene scene;
    scene.images = {pixels(2, 1, 1, {values[0], values[1]})};
    scene.materials = {unlit_material(1, 1, mesh::AlphaMode::kOpaque)};
    scene.materials[0].base_color_texture = texture(row.wrap, Filter::kNearest);
    const auto got = unlit_byte(scene, row.u, 0.5f);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_NEAR(*got, filmic(to_linear(values[row.texel] / 255.0f)) * 255, 1) << row.u;
  }
}

TEST(Textures, AreFilteredBeforeTheyAreMadeLinear) {
  mesh::Scene scene;
  scene.images = {pixels(2, 1, 1, {0, 255})};
  scene.materials = {unlit_material(1, 1, mesh::AlphaMode::kOpaque)};
  scene.materials[0].base_color_texture = texture(Wrap::kClamp, Filter::kLinear);
  const auto got = unlit_byte(scene, 0.5f, 0.5f);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_NEAR(*got, filmic(to_linear(0.5f)) * 255, 1);
}

TEST(Textures, HaveTheirFirstRowAtTheTop) {
  mesh::Scene scene;
  scene.images = {pixels(1, 2, 1, {255, 60})};
  scene.materials = {unlit_material(1, 1, mesh::AlphaMode::kOpaque)};
  scene.materials[0].base_color_texture = texture(Wrap::kClamp, Filter::kNearest);
  scene.meshes = {facing_square(0, 0)};
  const auto picture = render_scene(scene, front_camera(), {}, {32, 8});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_GT(picture->at(16, 12)[0], picture->at(16, 20)[0]);
}

TEST(VertexColors, MultiplyTheBaseColor) {
  mesh::Scene scene;
  scene.materials = {unlit_material(0.5f, 1, mesh::AlphaMode::kOpaque)};
  scene.meshes = {facing_square(0, 0)};
  scene.meshes[0].colors.assign(4, {0.5f, 1, 0, 1});
  const auto picture = render_scene(scene, kClose, {}, {4, 4});
  ASSERT_TRUE(picture.ok()) << picture.status();
  const float want[] = {0.25f, 0.5f, 0};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(centre(*picture)[c], filmic(want[c]) * 255, 1);
}

TEST(Emission, ShowsWithoutAnyLight) {
  mesh::Scene scene;
  scene.materials.emplace_back();
  scene.materials[0].emissive = {2, 0.5f, 0};
  scene.meshes = {facing_square(0, 0)};
  const auto picture = render_scene(scene, kClose, {}, {4, 4});
  ASSERT_TRUE(picture.ok()) << picture.status();
  const float want[] = {2, 0.5f, 0};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(centre(*picture)[c], filmic(want[c]) * 255, 1);
}

// Brightness under a light from `side` of the camera's axis, with a normal map of one colour.
Result<int> bumped(const std::vector<uint8_t>& map, mesh::Vec3 side, bool mirrored) {
  mesh::Scene scene;
  scene.images = {pixels(1, 1, 3, map)};
  scene.materials.emplace_back();
  scene.materials[0].base_color = {0.5f, 0.5f, 0.5f};
  scene.materials[0].roughness = 1;
  scene.materials[0].normal_texture = texture(Wrap::kRepeat, Filter::kLinear);
  scene.meshes = {facing_square(0, 0)};
  if (mirrored)
    for (mesh::Vec2& uv : scene.meshes[0].uvs) uv[0] = 1 - uv[0];
  Lighting lighting;
  lighting.lights = {{{20 + side[0], side[1], side[2]}, 0.5f, 8000}};
  ESP_ASSIGN(const image::Image picture, render_scene(scene, kClose, lighting, {4, 64}));
  return centre(picture)[0];
}

TEST(NormalMaps, TiltTowardsTheirColors) {
  const std::vector<uint8_t> right = {200, 128, 230}, up = {128, 200, 230};
  const struct {
    const char* what;
    std::vector<uint8_t> map;
    mesh::Vec3 bright, dark;  // where the light stands
    bool mirrored;
  } rows[] = {{"red is +u", right, {0, 20, 0}, {0, -20, 0}, false},
              {"green is up", up, {0, 0, 20}, {0, 0, -20}, false},
              {"red follows mirrored coordinates", right, {0, -20, 0}, {0, 20, 0}, true},
              {"green is up on mirrored coordinates", up, {0, 0, 20}, {0, 0, -20}, true}};
  for (const auto& row : rows) {
    const auto bright = bumped(row.map, row.bright, row.mirrored), dark = bumped(row.map, row.dark, row.mirrored);
    ASSERT_TRUE(bright.ok() && dark.ok());
    EXPECT_GT(*bright, *dark + 10) << row.what;
  }
}

}  // namespace
}  // namespace espalier::render
