#include "render/condition_views.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/render/scenes.h"

namespace espalier::render {
namespace {

ConditionViewOptions small_options() {
  ConditionViewOptions options;
  options.views = 3;
  options.size = 24;
  options.samples = 4;
  options.seed = 9;
  options.sha256 = "0123";
  return options;
}

mesh::Scene one_square() {
  mesh::Scene scene;
  scene.meshes = {facing_square(0)};
  return scene;
}

TEST(ConditionViews, RepeatFromSeedAndObject) {
  const auto views = render_condition_views(one_square(), small_options());
  ASSERT_TRUE(views.ok()) << views.status();
  ASSERT_EQ(views->size(), 3u);
  ConditionViewOptions options = small_options();
  options.threads = 3;
  const auto again = render_condition_views(one_square(), options);
  options.sha256 = "4567";
  const auto other = render_condition_views(one_square(), options);
  ASSERT_TRUE(again.ok() && other.ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*views)[i].rgba.pixels, (*again)[i].rgba.pixels);
    EXPECT_NE((*views)[i].rgba.pixels, (*other)[i].rgba.pixels);
  }
}

TEST(ConditionViews, RefuseAnObjectThatNeverShows) {
  mesh::Scene scene;
  scene.materials = {unlit_material(1, 0, mesh::AlphaMode::kBlend)};
  scene.meshes = {facing_square(0, 0)};
  const auto views = render_condition_views(scene, small_options());
  EXPECT_EQ(views.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(views.status().message().substr(0, 13), "EMPTY_RENDER:");
}

TEST(ConditionViews, RefuseABadNumberOfViews) {
  for (const int count : {0, -1, 1025}) {
    ConditionViewOptions options = small_options();
    options.views = count;
    EXPECT_EQ(render_condition_views(one_square(), options).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(TransformsJson, DescribesEveryView) {
  const ConditionViewOptions options = small_options();
  const auto views = render_condition_views(one_square(), options);
  ASSERT_TRUE(views.ok()) << views.status();
  const auto json = nlohmann::json::parse(transforms_json(*views, options, 0.5, {1, 2, 3}));
  EXPECT_EQ(json["scale"], 0.5);
  EXPECT_EQ(json["offset"], nlohmann::json({1, 2, 3}));
  EXPECT_EQ(json["aabb"], nlohmann::json::parse("[[-0.5,-0.5,-0.5],[0.5,0.5,0.5]]"));
  EXPECT_EQ(json["seed"], 9);
  ASSERT_EQ(json["frames"].size(), 3u);
  const auto& frame = json["frames"][2];
  EXPECT_EQ(frame["file_path"], "002.png");
  EXPECT_EQ(frame["camera_angle_x"], (*views)[2].camera.fov);
  EXPECT_EQ(frame["transform_matrix"].get<Matrix4>(), camera_to_world((*views)[2].camera));
  EXPECT_EQ(frame["lights"].size(), (*views)[2].lighting.lights.size());
  EXPECT_TRUE(frame.contains("environment_radiance"));
}

}  // namespace
}  // namespace espalier::render
