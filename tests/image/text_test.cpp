#include "image/text.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace espalier::image {
namespace {

Image black(int width, int height, int channels) {
  return {width, height, channels, std::vector<uint8_t>(static_cast<size_t>(width) * height * channels)};
}

auto lit(const Image& picture) { return std::count(picture.pixels.begin(), picture.pixels.end(), 255); }

TEST(Text, StaysWithinItsWidthAndHeight) {
  for (const int scale : {1, 3}) {
    Image picture = black(400, 60, 1);
    draw_text(picture, 10, 5, "gyroid, 42%", scale, {255, 255, 255});
    EXPECT_GT(lit(picture), 50);
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        const bool inside =
            x >= 10 && x < 10 + text_width("gyroid, 42%", scale) && y >= 5 && y < 5 + text_height(scale);
        if (!inside) {
          EXPECT_EQ(*picture.at(x, y), 0) << x << ", " << y;
        }
      }
    }
  }
}

TEST(Text, IsScaledExactly) {
  Image small = black(60, 20, 1), large = black(120, 40, 1);
  draw_text(small, 1, 1, "Ag", 1, {255, 255, 255});
  draw_text(large, 2, 2, "Ag", 2, {255, 255, 255});
  EXPECT_EQ(lit(large), 4 * lit(small));
}

TEST(Text, IsCutAtThePicturesEdges) {
  Image picture = black(8, 8, 4);
  draw_text(picture, -5, -3, "WWWW", 2, {255, 0, 0});
  draw_text(picture, 100, 100, "W", 1, {255, 0, 0});
  EXPECT_GT(lit(picture), 0);
  EXPECT_EQ(lit(picture) % 2, 0);  // red and alpha of each pixel
}

TEST(Text, WritesQuestionMarksForWhatTheFontLacks) {
  Image unknown = black(20, 20, 1), mark = black(20, 20, 1);
  draw_text(unknown, 0, 0, "\n", 1, {255, 255, 255});
  draw_text(mark, 0, 0, "?", 1, {255, 255, 255});
  EXPECT_EQ(unknown.pixels, mark.pixels);
  EXPECT_GT(lit(mark), 0);
}

TEST(Text, IsShortenedToAWidth) {
  EXPECT_EQ(shortened("short", 1, 200), "short");
  const std::string text = shortened("a_rather_long_name.safetensors", 1, 80);
  EXPECT_LE(text_width(text, 1), 80);
  EXPECT_EQ(text.substr(text.size() - 3), "...");
  EXPECT_EQ(text.substr(0, 5), "a_rat");
}

}  // namespace
}  // namespace espalier::image
