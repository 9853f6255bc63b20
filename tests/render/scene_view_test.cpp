#include "render/scene_view.h"

#include <gtest/gtest.h>

#include "render/filmic.h"
#include "tests/render/scenes.h"

namespace espalier::render {
namespace {

using mesh::AlphaMode;

mesh::Scene cube_without_material() {
  mesh::Mesh m;
  for (int i = 0; i < 8; ++i) m.positions.push_back({i & 1 ? .3f : -.3f, i & 2 ? .3f : -.3f, i & 4 ? .3f : -.3f});
  m.triangles = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
                 {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  m.material_ids.assign(12, -1);
  mesh::Scene scene;
  scene.meshes.push_back(m);
  return scene;
}

mesh::Scene square(const mesh::Material& material) {
  mesh::Scene scene;
  scene.materials = {material};
  scene.meshes = {facing_square(0, 0)};
  return scene;
}

int byte(double value) { return static_cast<int>(value * 255 + 0.5); }

const uint8_t* centre_pixel(const image::Image& picture) { return picture.at(picture.width / 2, picture.height / 2); }

const Lighting kWhiteSurroundings{{}, 1};

TEST(SceneTracer, ShowsTheAlbedoInAWhiteFurnace) {
  const auto picture = render_scene(cube_without_material(), {0.7, 0.4, 2, 0.8}, kWhiteSurroundings, {32, 16});
  ASSERT_TRUE(picture.ok()) << picture.status();
  int opaque = 0;
  for (size_t i = 0; i < picture->pixels.size(); i += 4) {
    if (picture->pixels[i + 3] != 255) continue;
    ++opaque;
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(picture->pixels[i + c], byte(filmic(0.8f)), 1);
  }
  EXPECT_GT(opaque, 100);
}

TEST(SceneTracer, ReflectsAWhiteMetalAsTheSingleScatteringModelSays) {
  // Seen head on, all light comes back from a smooth metal, and 1 - ln 2 of it from the roughest: the integral of
  // Smith's shadowing over the mirrored cosine distribution.
  const float rows[][2] = {{0.05f, 1}, {1, 1 - std::numbers::ln2_v<float>}};
  for (const auto& [roughness, want] : rows) {
    mesh::Material material;
    material.metallic = 1;
    material.roughness = roughness;
    const auto picture = render_scene(square(material), {0, 0, 2, 0.02}, kWhiteSurroundings, {4, 4096});
    ASSERT_TRUE(picture.ok()) << picture.status();
    EXPECT_NEAR(centre_pixel(*picture)[1], byte(filmic(want)), 1) << roughness;
  }
}

TEST(SceneTracer, ReflectsNoMoreThanItReceives) {
  for (const float roughness : {0.05f, 0.3f, 0.7f, 1.0f}) {
    for (const float metallic : {0.0f, 0.5f, 1.0f}) {
      mesh::Material material;
      material.roughness = roughness;
      material.metallic = metallic;
      const auto picture = render_scene(square(material), front_camera(), kWhiteSurroundings, {8, 1024});
      ASSERT_TRUE(picture.ok()) << picture.status();
      // The coat lies on top of the diffuse lobe without taking from it, as in the reference: a few percent more.
      EXPECT_LE(centre_pixel(*picture)[1], byte(filmic(1.1f))) << roughness << " " << metallic;
    }
  }
}

TEST(SceneTracer, LightsALambertSurfaceByTheInverseSquare) {
  mesh::Scene scene;
  scene.meshes = {facing_square(0)};
  const double distance = 20, cosine = 0.6, power = 6000;
  Lighting lighting;
  lighting.lights = {{{static_cast<float>(distance * cosine), static_cast<float>(distance * 0.8), 0}, 1, 6000}};
  const auto picture = render_scene(scene, front_camera(), lighting, {8, 256});
  ASSERT_TRUE(picture.ok()) << picture.status();
  const double irradiance = power / (4 * std::numbers::pi * distance * distance) * cosine;
  EXPECT_NEAR(centre_pixel(*picture)[0], byte(filmic(static_cast<float>(0.8 * irradiance / std::numbers::pi))), 2);
}

TEST(SceneTracer, CoversAsManyPixelsAsTheSquareDoes) {
  mesh::Scene scene;
  scene.meshes = {facing_square(0)};
  const auto picture = render_scene(scene, front_camera(), kWhiteSurroundings, {64, 64});
  ASSERT_TRUE(picture.ok()) << picture.status();
  double covered = 0;
  for (size_t i = 3; i < picture->pixels.size(); i += 4) covered += picture->pixels[i] / 255.0;
  EXPECT_NEAR(covered, 32 * 32, 2);
  EXPECT_EQ(picture->at(18, 32)[3], 255);
  EXPECT_EQ(picture->at(13, 32)[3], 0);
}

struct LayerRow {
  int layers;
  float alpha;
  AlphaMode mode;
  bool mask_as_blend;
  int want_alpha;
};

TEST(SceneTracer, PassesThroughAtMostFourLayers) {
  const LayerRow rows[] = {{1, 0.5f, AlphaMode::kBlend, true, 128}, {2, 0.5f, AlphaMode::kBlend, true, 191},
                           {4, 0.5f, AlphaMode::kBlend, true, 239}, {5, 0.5f, AlphaMode::kBlend, true, 255},
                           {1, 0.4f, AlphaMode::kMask, true, 102},  {1, 0.4f, AlphaMode::kMask, false, 0},
                           {1, 0.6f, AlphaMode::kMask, false, 255}, {1, 0.4f, AlphaMode::kOpaque, true, 255},
                           {1, 0.0f, AlphaMode::kBlend, true, 0}};
  for (const LayerRow& row : rows) {
    mesh::Scene scene;
    scene.materials = {unlit_material(1, row.alpha, row.mode)};
    for (int i = 0; i < row.layers; ++i) scene.meshes.push_back(facing_square(-0.05f * static_cast<float>(i), 0));
    ViewOptions options{8, 16};
    options.mask_as_blend = row.mask_as_blend;
    const auto picture = render_scene(scene, front_camera(), {}, options);
    ASSERT_TRUE(picture.ok()) << picture.status();
    EXPECT_NEAR(centre_pixel(*picture)[3], row.want_alpha, 1) << row.layers << " layers of " << row.alpha;
    // Straight alpha: the colour does not depend on the coverage.
    EXPECT_NEAR(centre_pixel(*picture)[0], row.want_alpha ? byte(filmic(1)) : 0, 1);
  }
}

TEST(SceneTracer, ShadesTheBackOfAFaceLikeItsFront) {
  mesh::Scene scene;
  scene.meshes = {facing_square(0)};
  Camera behind = front_camera();
  behind.yaw = std::numbers::pi;
  const auto front = render_scene(scene, front_camera(), kWhiteSurroundings, {8, 16});
  const auto back = render_scene(scene, behind, kWhiteSurroundings, {8, 16});
  ASSERT_TRUE(front.ok() && back.ok());
  EXPECT_NEAR(centre_pixel(*front)[0], centre_pixel(*back)[0], 1);
}

TEST(SceneTracer, GivesTheSamePictureOnAnyNumberOfThreads) {
  const Lighting lighting{{{{5, 8, 10}, 1, 4000}}, 0.3f};
  const auto one = render_scene(cube_without_material(), {0.7, 0.4, 2, 0.8}, lighting, {40, 8, 5, 1});
  const auto four = render_scene(cube_without_material(), {0.7, 0.4, 2, 0.8}, lighting, {40, 8, 5, 4});
  const auto other = render_scene(cube_without_material(), {0.7, 0.4, 2, 0.8}, lighting, {40, 8, 6, 4});
  ASSERT_TRUE(one.ok() && four.ok() && other.ok());
  EXPECT_EQ(one->pixels, four->pixels);
  EXPECT_NE(one->pixels, other->pixels);
}

TEST(SceneTracer, LeavesAnEmptySceneTransparent) {
  const auto picture = render_scene({}, front_camera(), kWhiteSurroundings, {16, 4});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->pixels, std::vector<uint8_t>(16 * 16 * 4, 0));
}

TEST(SceneTracer, SeesASceneThatReachesBehindTheCamera) {
  mesh::Scene scene = cube_without_material();
  for (mesh::Vec3& p : scene.meshes[0].positions)
    for (float& x : p) x *= 20;
  const auto picture = render_scene(scene, front_camera(), kWhiteSurroundings, {8, 4});
  ASSERT_TRUE(picture.ok()) << picture.status();
  for (size_t i = 3; i < picture->pixels.size(); i += 4) EXPECT_EQ(picture->pixels[i], 255);
}

TEST(SceneTracer, NamesTheOptionOutOfRange) {
  const struct {
    ViewOptions options;
    const char* name;
  } rows[] = {
      {{0, 4}, "size"}, {{5000, 4}, "size"}, {{8, 0}, "samples"}, {{8, 5000}, "samples"}, {{8, 4, 0, -1}, "threads"}};
  for (const auto& row : rows) {
    const auto picture = render_scene(cube_without_material(), front_camera(), {}, row.options);
    EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(picture.status().message().find(row.name), std::string::npos);
  }
}

}  // namespace
}  // namespace espalier::render
