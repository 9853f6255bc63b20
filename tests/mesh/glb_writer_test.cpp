#include "mesh/glb_writer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "asset_folder.h"
#include "mesh/normalize.h"

namespace espalier::mesh {
namespace {

image::Image pattern(int width, int height, int channels) {
  image::Image out{width, height, channels, std::vector<uint8_t>(size_t(width) * height * channels)};
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = static_cast<uint8_t>(i * 37);
  return out;
}

// Two meshes, four materials of all kinds, packed and separate textures.
Scene rich_scene() {
  Scene scene;
  scene.images = {pattern(4, 4, 4), pattern(8, 4, 3), pattern(4, 4, 1)};
  Material a;
  a.name = "packed";
  a.base_color = {0.5f, 0.25f, 1};
  a.alpha = 0.5f;
  a.alpha_mode = AlphaMode::kBlend;
  a.base_color_texture = Texture{0, Wrap::kClamp, Wrap::kMirror, Filter::kNearest, 0};
  a.alpha_texture = Texture{0, Wrap::kClamp, Wrap::kMirror, Filter::kNearest, 3};
  a.metallic_texture = Texture{1, Wrap::kRepeat, Wrap::kRepeat, Filter::kLinear, 2};
  a.roughness_texture = Texture{1, Wrap::kRepeat, Wrap::kRepeat, Filter::kLinear, 1};
  a.emissive = {4, 2, 0};
  a.double_sided = false;
  Material b;
  b.name = "separate";
  b.metallic = 0.75f;
  b.base_color_texture = Texture{1};
  b.alpha_texture = Texture{2};
  b.alpha_mode = AlphaMode::kMask;
  b.alpha_cutoff = 0.25f;
  b.roughness_texture = Texture{2};
  Material c;
  c.name = "unlit";
  c.unlit = true;
  scene.materials = {a, b, c};
  Mesh first;
  first.name = "first";
  first.positions = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  first.normals = {{0, 0, 1}, {0, 1, 0}, {1, 0, 0}, {0, 0, -1}};
  first.uvs = {{0, 0}, {1, 0}, {0, 1}, {0.5f, 0.25f}};
  first.colors = {{1, 0, 0, 1}, {0, 1, 0, 1}, {0, 0, 1, 1}, {1, 1, 1, 0.5f}};
  first.triangles = {{0, 1, 2}, {0, 2, 3}, {0, 3, 1}};
  first.material_ids = {0, 1, -1};
  Mesh second;
  second.positions = {{2, 0, 0}, {3, 0, 0}, {2, 1, 0.5f}};
  second.triangles = {{0, 1, 2}};
  second.material_ids = {2};
  scene.meshes = {first, second};
  return scene;
}

TEST(GlbWriter, IsReadBackAsTheSameScene) {
  const AssetFolder folder;
  const Scene scene = rich_scene();
  const auto bytes = write_glb(scene);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto back = folder.import("a.glb", *bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(back->warnings.empty());
  ASSERT_EQ(back->meshes.size(), 2u);
  EXPECT_EQ(face_count(*back), 4u);
  EXPECT_EQ(back->meshes[1].positions, scene.meshes[1].positions);
  EXPECT_EQ(bounds(*back)->max, bounds(scene)->max);
  // Parts are ordered by material; the default material comes first and is written out.
  const Mesh& first = back->meshes[0];
  EXPECT_EQ(first.material_ids, (std::vector<int32_t>{3, 0, 1}));
  EXPECT_EQ(back->materials[3].base_color, default_material().base_color);
  for (size_t f = 0; f < 3; ++f) {
    const Triangle& want = scene.meshes[0].triangles[(f + 2) % 3];
    for (int k = 0; k < 3; ++k) {
      const uint32_t v = first.triangles[f][k], w = want[k];
      EXPECT_EQ(first.positions[v], scene.meshes[0].positions[w]);
      EXPECT_EQ(first.normals[v], scene.meshes[0].normals[w]);
      EXPECT_EQ(first.uvs[v], scene.meshes[0].uvs[w]);
      EXPECT_EQ(first.colors[v], scene.meshes[0].colors[w]);
    }
  }
}

TEST(GlbWriter, KeepsMaterialsAndPacksTheirTextures) {
  const AssetFolder folder;
  const Scene scene = rich_scene();
  const auto back = folder.import("a.glb", write_glb(scene).value());
  ASSERT_TRUE(back.ok()) << back.status();
  const Material &a = back->materials[0], &b = back->materials[1];
  EXPECT_EQ(a.base_color, scene.materials[0].base_color);
  EXPECT_EQ(a.alpha, 0.5f);
  EXPECT_EQ(a.alpha_mode, AlphaMode::kBlend);
  EXPECT_EQ(a.base_color_texture->wrap_v, Wrap::kMirror);
  EXPECT_EQ(a.base_color_texture->filter, Filter::kNearest);
  EXPECT_EQ(a.emissive, (Vec3{4, 2, 0}));
  EXPECT_FALSE(a.double_sided);
  EXPECT_EQ(back->images[a.base_color_texture->image].pixels, scene.images[0].pixels);
  EXPECT_EQ(back->images[a.metallic_texture->image].pixels, scene.images[1].pixels);
  EXPECT_EQ(b.alpha_mode, AlphaMode::kMask);
  EXPECT_EQ(b.alpha_cutoff, 0.25f);
  EXPECT_EQ(b.metallic, 0.75f);
  // 8x4 colours with the 4x4 alpha stretched over them.
  const image::Image& packed = back->images[b.base_color_texture->image];
  EXPECT_EQ(packed.at(5, 2)[1], scene.images[1].at(5, 2)[1]);
  EXPECT_EQ(packed.at(5, 2)[3], scene.images[2].at(2, 2)[0]);
  const image::Image& rough = back->images[b.roughness_texture->image];
  EXPECT_EQ(rough.at(3, 1)[1], scene.images[2].at(3, 1)[0]);
  EXPECT_EQ(rough.at(3, 1)[2], 255);  // metallic stays its factor
  EXPECT_TRUE(back->materials[2].unlit);
}

TEST(GlbWriter, WritesEqualBytesForEqualScenes) {
  EXPECT_EQ(write_glb(rich_scene()).value(), write_glb(rich_scene()).value());
}

TEST(GlbWriter, GivesTexturedFacesUvsWhereTheMeshHasNone) {
  Scene scene = rich_scene();
  scene.meshes[1].material_ids = {0};
  const AssetFolder folder;
  const auto back = folder.import("a.glb", write_glb(scene).value());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->meshes[1].uvs, (std::vector<Vec2>(3, Vec2{0, 0})));
}

TEST(GlbWriter, UsesWideIndicesForManyVertices) {
  Scene scene;
  Mesh mesh;
  for (int i = 0; i < 70000; ++i) mesh.positions.push_back({float(i), float(i % 7), 0});
  for (uint32_t i = 0; i + 2 < 70000; ++i) mesh.triangles.push_back({i, i + 1, i + 2});
  mesh.material_ids.assign(mesh.triangles.size(), -1);
  scene.meshes = {mesh};
  const AssetFolder folder;
  const auto back = folder.import("a.glb", write_glb(scene).value());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->meshes[0].triangles, mesh.triangles);
}

TEST(GlbWriter, RefusesInvalidScenes) {
  EXPECT_FALSE(write_glb(Scene{}).ok());
  Scene bad = rich_scene();
  bad.meshes[0].triangles[0][1] = 4;
  EXPECT_FALSE(write_glb(bad).ok());
  bad = rich_scene();
  bad.meshes[0].positions[0][0] = NAN;
  EXPECT_FALSE(write_glb(bad).ok());
  bad = rich_scene();
  bad.materials[0].base_color_texture->image = 3;
  EXPECT_FALSE(write_glb(bad).ok());
  bad = rich_scene();
  bad.meshes[0].uvs.pop_back();
  EXPECT_FALSE(write_glb(bad).ok());
}

TEST(Normalize, MovesTheLongestSideIntoTheUnitCube) {
  Scene scene;
  scene.meshes.resize(1);
  scene.meshes[0].positions = {{1, 2, 3}, {5, 4, 3}, {1, 2, 4}};
  const auto map = normalize(scene);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->center, (Vec3{3, 3, 3.5f}));
  const Bounds box = bounds(scene).value();
  EXPECT_FLOAT_EQ(box.max[0] - box.min[0], 0.99999f);
  EXPECT_FLOAT_EQ(box.min[1], -0.25f * 0.99999f);
  EXPECT_FLOAT_EQ(box.max[2], 0.125f * 0.99999f);
}

TEST(Normalize, RefusesNothingPointsAndInfinity) {
  Scene scene;
  EXPECT_FALSE(normalize(scene).ok());
  scene.meshes.resize(1);
  scene.meshes[0].positions = {{1, 1, 1}, {1, 1, 1}};
  EXPECT_FALSE(normalize(scene).ok());
  EXPECT_EQ(scene.meshes[0].positions[0], (Vec3{1, 1, 1}));
  scene.meshes[0].positions = {{INFINITY, 1, 1}, {1, 1, 1}};
  EXPECT_FALSE(normalize(scene).ok());
  scene.meshes[0].positions = {{-3e38f, 1, 1}, {3e38f, 1, 1}};
  EXPECT_FALSE(normalize(scene).ok());
}

}  // namespace
}  // namespace espalier::mesh
