#include "image/flatten.h"

#include <gtest/gtest.h>

#include "image/transfer.h"

namespace espalier::image {
namespace {

TEST(Flattened, MixesStraightAlphaWithTheGround) {
  const Image rgba{3, 1, 4, {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128}};
  const Image rgb = flattened(rgba, 200);
  EXPECT_EQ(rgb.channels, 3);
  // (0 * 128 + 200 * 127) / 255 = 99.6, (100 * 128 + 200 * 127) / 255 = 149.8, (255 * 128 + 200 * 127) / 255 = 227.6
  EXPECT_EQ(rgb.pixels, (std::vector<uint8_t>{10, 20, 30, 200, 200, 200, 100, 150, 228}));
  EXPECT_EQ(flattened(rgb, 0).pixels, rgb.pixels);
}

TEST(SrgbToLinear, JoinsItsTwoPieces) {
  EXPECT_FLOAT_EQ(srgb_to_linear(0), 0);
  EXPECT_FLOAT_EQ(srgb_to_linear(1), 1);
  EXPECT_NEAR(srgb_to_linear(0.5f), 0.21404f, 1e-5);
  EXPECT_NEAR(srgb_to_linear(0.04045f), srgb_to_linear(0.04046f), 1e-5);
}

}  // namespace
}  // namespace espalier::image
