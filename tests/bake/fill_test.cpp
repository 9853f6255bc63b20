#include "bake/fill.h"

#include <gtest/gtest.h>

namespace espalier::bake {
namespace {

TEST(FillGaps, TakesTheNearestBlocksMean) {
  image::Image image{5, 3, 3, std::vector<uint8_t>(5 * 3 * 3)};
  std::vector<uint8_t> filled(15);
  const auto paint = [&](int x, int y, uint8_t value) {
    std::fill_n(image.at(x, y), 3, value);
    filled[static_cast<size_t>(y * 5 + x)] = 1;
  };
  paint(0, 0, 10);
  paint(1, 1, 21);
  paint(4, 0, 200);
  fill_gaps(image, filled, 1);
  EXPECT_EQ(image.at(0, 0)[0], 10);  // kept
  EXPECT_EQ(image.at(4, 0)[2], 200);
  EXPECT_EQ(image.at(1, 0)[0], 16);  // the mean of its 2 x 2
  EXPECT_EQ(image.at(3, 1)[0], 16);  // of its 4 x 4
  EXPECT_EQ(image.at(4, 1)[0], 200);
}

TEST(FillGaps, LeavesEmptyAndFullImagesAlone) {
  image::Image image{7, 9, 4, std::vector<uint8_t>(7 * 9 * 4, 3)};
  const image::Image was = image;
  fill_gaps(image, std::vector<uint8_t>(63, 0), 2);
  EXPECT_EQ(image.pixels, was.pixels);
  fill_gaps(image, std::vector<uint8_t>(63, 1), 2);
  EXPECT_EQ(image.pixels, was.pixels);
}

}  // namespace
}  // namespace espalier::bake
