#include "render/preview.h"

#include <gtest/gtest.h>

#include "tests/render/scenes.h"

namespace espalier::render {
namespace {

mesh::Material plain(const mesh::Vec3& color) {
  mesh::Material out;
  out.base_color = color;
  out.roughness = 1;
  return out;
}

// Red towards the first view's side, blue on the other one.
mesh::Scene two_faced(float size = 1) {
  mesh::Scene scene;
  scene.materials = {plain({0.8f, 0, 0}), plain({0, 0, 0.8f})};
  for (const int back : {0, 1}) {
    mesh::Mesh m = facing_square(0, back);  // towards +X
    for (mesh::Vec3& p : m.positions) {
      p = {p[1] * size, -p[0] * size, p[2] * size};  // towards -Y, the front
      if (back) p = {-p[0], p[1] + 0.01f * size, p[2]};
    }
    scene.meshes.push_back(m);
  }
  return scene;
}

// Channel sums over the middle of a picture.
std::array<int, 3> middle(const image::Image& picture) {
  std::array<int, 3> sum{};
  const int size = picture.width;
  for (int y = size * 2 / 5; y < size * 3 / 5; ++y) {
    for (int x = size * 2 / 5; x < size * 3 / 5; ++x) {
      for (size_t c = 0; c < 3; ++c) sum[c] += picture.at(x, y)[c];
    }
  }
  return sum;
}

PreviewOptions quick(int views = 1) {
  PreviewOptions out;
  out.views = views;
  out.size = 48;
  out.samples = 4;
  return out;
}

TEST(Preview, BeginsAtTheFrontAndGoesAround) {
  for (const float size : {1.0f, 300.0f}) {
    const auto views = render_preview(two_faced(size), quick(2));
    ASSERT_TRUE(views.ok()) << views.status();
    ASSERT_EQ(views->size(), 2u);
    const auto front = middle((*views)[0]), back = middle((*views)[1]);
    EXPECT_GT(front[0], 2 * front[2]);
    EXPECT_GT(back[2], 2 * back[0]);
  }
}

TEST(Preview, ShowsTexturesAndCutsMasks) {
  mesh::Scene scene = two_faced();
  scene.materials[0].base_color = {1, 1, 1};
  scene.images = {{1, 1, 4, {10, 200, 10, 100}}};
  mesh::Texture texture;
  texture.image = 0;
  scene.materials[0].base_color_texture = texture;
  const auto green = middle(render_preview(scene, quick())->at(0));
  EXPECT_GT(green[1], 2 * green[0]);
  EXPECT_GT(green[1], 2 * green[2]);
  texture.channel = 3;
  scene.materials[0].alpha_texture = texture;
  scene.materials[0].alpha_mode = mesh::AlphaMode::kMask;  // 100 / 255 is below the cutoff
  const auto cut = middle(render_preview(scene, quick())->at(0));
  EXPECT_GT(cut[2], 2 * cut[1]);  // the back shines through
}

TEST(Preview, HoldsTheWholeObject) {
  mesh::Scene scene;
  mesh::Mesh m;
  for (int i = 0; i < 8; ++i) m.positions.push_back({i & 1 ? 1.f : 0.f, i & 2 ? 1.f : 0.f, i & 4 ? 1.f : 0.f});
  m.triangles = {{0, 1, 3}, {0, 3, 2}, {4, 6, 7}, {4, 7, 5}, {0, 4, 5}, {0, 5, 1},
                 {2, 3, 7}, {2, 7, 6}, {0, 2, 6}, {0, 6, 4}, {1, 5, 7}, {1, 7, 3}};
  m.material_ids.assign(12, -1);
  scene.meshes = {m};
  const std::vector<uint8_t> ground(3, 235);
  const auto views = render_preview(scene, quick(5));
  ASSERT_TRUE(views.ok()) << views.status();
  for (const image::Image& view : *views) {
    for (int i = 0; i < view.width; ++i) {
      for (const uint8_t* pixel :
           {view.at(i, 0), view.at(i, view.height - 1), view.at(0, i), view.at(view.width - 1, i)}) {
        ASSERT_TRUE(std::equal(pixel, pixel + 3, ground.begin()));
      }
    }
  }
}

TEST(Preview, DoesNotDependOnThreads) {
  PreviewOptions one = quick(), three = quick();
  one.threads = 1;
  three.threads = 3;
  EXPECT_EQ(render_preview(two_faced(), one)->at(0).pixels, render_preview(two_faced(), three)->at(0).pixels);
}

TEST(Preview, TellsEachViewAndStopsBetweenThem) {
  std::stop_source stop;
  PreviewOptions options = quick(4);
  options.stop = stop.get_token();
  std::vector<int> done;
  options.progress = [&](int views) {
    done.push_back(views);
    if (views == 2) stop.request_stop();
  };
  EXPECT_EQ(render_preview(two_faced(), options).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(done, (std::vector<int>{1, 2}));
}

TEST(Preview, RefusesBadOptionsAndScenes) {
  for (const auto change : {+[](PreviewOptions& o) { o.views = 0; }, +[](PreviewOptions& o) { o.size = 8; },
                            +[](PreviewOptions& o) { o.size = 4096; }, +[](PreviewOptions& o) { o.samples = 0; }}) {
    PreviewOptions options = quick();
    change(options);
    EXPECT_EQ(render_preview(two_faced(), options).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(render_preview({}, quick()).ok());
}

TEST(PreviewSheet, StacksRowsAndSetsSingleViewsSideBySide) {
  const image::Image black{64, 64, 3, std::vector<uint8_t>(64 * 64 * 3)};
  const image::Image single = preview_sheet({{"a", {black}}, {"b", {black}}, {"c", {black}}});
  EXPECT_EQ(single.width, 3 * 64);
  const int head = single.height - 64;
  EXPECT_GT(head, 8);
  const image::Image stacked = preview_sheet({{"a", {black, black}}, {"b", {black, black}}});
  EXPECT_EQ(stacked.width, 2 * 64);
  EXPECT_EQ(stacked.height, 2 * (64 + head));
  int ink = 0;
  for (int y = 0; y < head; ++y) {
    for (int x = 64; x < 128; ++x) ink += single.at(x, y)[0] < 100;
  }
  EXPECT_GT(ink, 4);  // the caption of the second one
  EXPECT_EQ(single.at(100, head + 5)[0], 0);
  EXPECT_EQ(preview_sheet({{"", {black, black}}}).height, 64) << "no caption needs no room";
}

}  // namespace
}  // namespace espalier::render
