#include "evaluate/color_agreement.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espalier::evaluate {
namespace {

// A cube of one colour around the origin; faces wind outwards.
ColoredSurface cube(float half, mesh::Vec3 color) {
  ColoredSurface object;
  for (int i = 0; i < 8; ++i) {
    const auto side = [&](int bit) { return i >> bit & 1 ? half : -half; };
    object.surface.positions.push_back({side(0), side(1), side(2)});
    object.colors.push_back(color);
  }
  object.surface.triangles = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
                              {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  return object;
}

double psnr_of(double difference) { return -20 * std::log10(difference / 255); }

TEST(ColorAgreement, IsBestForTheSameObject) {
  const auto same = color_agreement(cube(0.4f, {0.2f, 0.4f, 0.6f}), cube(0.4f, {0.2f, 0.4f, 0.6f}));
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->psnr, 99);
  EXPECT_EQ(same->psnr_common, 99);
}

TEST(ColorAgreement, MeasuresADifferenceOfColors) {
  const auto result = color_agreement(cube(0.4f, {0.4f, 0.4f, 0.4f}), cube(0.4f, {0.2f, 0.2f, 0.2f}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(result->psnr, psnr_of(51), 1e-9);
  EXPECT_NEAR(result->psnr_common, psnr_of(51), 1e-9);
}

TEST(ColorAgreement, TellsColorsFromShapes) {
  const auto result = color_agreement(cube(0.3f, {1, 1, 1}), cube(0.4f, {1, 1, 1}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->psnr_common, 99);
  EXPECT_LT(result->psnr, 20);
  EXPECT_GT(result->psnr, psnr_of(127));
}

TEST(ColorAgreement, TakesNothingForMissingEverywhere) {
  const auto result = color_agreement({}, cube(0.4f, {0, 0, 0}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(result->psnr, psnr_of(128), 1e-9);
  EXPECT_EQ(result->psnr_common, 0);
}

TEST(ColorAgreement, SeesEverySideFromSomewhere) {
  ColoredSurface marked = cube(0.4f, {0, 0, 0});
  for (const size_t vertex : {0, 2, 4, 6}) marked.colors[vertex] = {1, 0, 0};  // the face towards -x
  int red = 0;
  for (const auto& camera : color_cameras()) {
    const auto view = color_view(marked, camera, 32);
    ASSERT_TRUE(view.ok()) << view.status();
    red += view->at(16, 16)[0] > 0 || view->at(8, 16)[0] > 0 || view->at(24, 16)[0] > 0;
  }
  EXPECT_GE(red, 2);
  EXPECT_LE(red, 4);
}

TEST(ColorView, RefusesColorsThatAreNotOnePerVertex) {
  ColoredSurface object = cube(0.4f, {0, 0, 0});
  object.colors.pop_back();
  EXPECT_EQ(color_view(object, color_cameras()[0], 16).status().message(), "colors: must be one per vertex");
  EXPECT_EQ(color_view(cube(0.4f, {0, 0, 0}), color_cameras()[0], 0).status().message(),
            "size: 0 is outside 1 .. 4096");
}

}  // namespace
}  // namespace espalier::evaluate
