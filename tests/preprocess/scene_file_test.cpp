#include "preprocess/scene_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/preprocess/boxes.h"

namespace espalier::preprocess {
namespace {

using ::testing::HasSubstr;

mesh::Scene textured() {
  mesh::Scene scene = testing::box(1, 2, 3);
  scene.meshes[0].uvs.assign(8, {0.5f, 0.25f});
  scene.images.push_back({2, 1, 3, {1, 2, 3, 4, 5, 6}});
  scene.materials[0].base_color_texture =
      mesh::Texture{0, mesh::Wrap::kClamp, mesh::Wrap::kMirror, mesh::Filter::kNearest, 0};
  scene.materials[0].alpha_mode = mesh::AlphaMode::kMask;
  scene.warnings = {"dropped a skin"};
  return scene;
}

TEST(SceneFile, GivesBackTheScene) {
  const mesh::Scene scene = textured();
  const auto read = read_import_result(write_scene(scene));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->meshes[0].positions, scene.meshes[0].positions);
  EXPECT_EQ(read->meshes[0].triangles, scene.meshes[0].triangles);
  EXPECT_EQ(read->images[0].pixels, scene.images[0].pixels);
  EXPECT_EQ(read->materials[0].base_color_texture->wrap_u, mesh::Wrap::kClamp);
  EXPECT_EQ(read->materials[0].alpha_mode, mesh::AlphaMode::kMask);
  EXPECT_EQ(read->warnings, scene.warnings);
  EXPECT_EQ(write_scene(*read), write_scene(scene));
}

TEST(SceneFile, CarriesTheChildsError) {
  const Status error = absl::InvalidArgumentError("EMPTY_MESH: a.glb: no triangles");
  EXPECT_EQ(read_import_result(write_import_error(error)).status(), error);
}

TEST(SceneFile, RefusesLiesAboutLengthsAndContent) {
  const std::string good = write_scene(textured());
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(read_import_result(good.substr(0, cut)).ok()) << cut;
  EXPECT_FALSE(read_import_result(good + "x").ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0xFF);
    read_import_result(bad).status().IgnoreError();  // any answer, but no crash and no huge allocation
  }
}

TEST(SceneFile, RefusesScenesThatBreakTheRules) {
  const auto refuse = [](void (*change)(mesh::Scene&), const char* message) {
    mesh::Scene scene = textured();
    change(scene);
    const auto read = read_import_result(write_scene(scene));
    ASSERT_FALSE(read.ok()) << message;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(message));
  };
  refuse([](mesh::Scene& s) { s.meshes[0].positions[3][1] = NAN; }, "not finite");
  refuse([](mesh::Scene& s) { s.meshes[0].triangles[0][2] = 8; }, "UNREADABLE");
  refuse([](mesh::Scene& s) { s.meshes[0].uvs.pop_back(); }, "UNREADABLE");
  refuse([](mesh::Scene& s) { s.meshes[0].material_ids[0] = 7; }, "UNREADABLE");
  refuse([](mesh::Scene& s) { s.materials[0].base_color_texture->image = 5; }, "UNREADABLE");
  refuse([](mesh::Scene& s) { s.images[0].pixels.pop_back(); }, "UNREADABLE");
  refuse([](mesh::Scene& s) { s.images[0].channels = 2; }, "UNREADABLE");
  mesh::ImportLimits few;
  few.max_faces = 11;
  EXPECT_FALSE(read_import_result(write_scene(textured()), few).ok());
}

}  // namespace
}  // namespace espalier::preprocess
