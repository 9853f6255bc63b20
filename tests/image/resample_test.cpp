#include "image/resample.h"

#include <gmock/gmock.h>

#include "common/sha256.h"
#include "tests/image/sample_files.h"

namespace espalier::image {
namespace {

std::string digest(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()}).substr(0, 16);
}

// Digests of what Pillow 11.3 makes of the same pattern.
TEST(Resize, EqualsPillowBitForBit) {
  const struct {
    Filter filter;
    int channels, width, height, to_width, to_height;
    const char* digest;
  } rows[] = {
      {Filter::kBilinear, 1, 37, 23, 64, 64, "554ce8e7546b731a"},
      {Filter::kBilinear, 1, 200, 150, 64, 48, "fb47e0e471186121"},
      {Filter::kBilinear, 1, 129, 77, 128, 77, "049e4e565b52ccad"},
      {Filter::kBilinear, 1, 50, 50, 50, 31, "0bbdf7dc72ffa9ca"},
      {Filter::kBilinear, 1, 112, 9, 51, 4, "81d1413c23ff64bc"},
      {Filter::kBilinear, 3, 37, 23, 64, 64, "5b5fd477c99ad2eb"},
      {Filter::kBilinear, 3, 200, 150, 64, 48, "4b00d48d1bf1b4d6"},
      {Filter::kBilinear, 3, 129, 77, 128, 77, "c9688ed1062682e1"},
      {Filter::kBilinear, 3, 50, 50, 50, 31, "ffa1f77d4734865c"},
      {Filter::kBilinear, 3, 112, 9, 51, 4, "87b4631abf1169f8"},
      {Filter::kBilinear, 4, 37, 23, 64, 64, "2e1f17574348f514"},
      {Filter::kBilinear, 4, 200, 150, 64, 48, "5dde1e9c24825e17"},
      {Filter::kBilinear, 4, 129, 77, 128, 77, "3d2dfd97afb544dd"},
      {Filter::kBilinear, 4, 50, 50, 50, 31, "d495620c7cc6da59"},
      {Filter::kBilinear, 4, 112, 9, 51, 4, "742e60390b45d528"},
      {Filter::kBicubic, 1, 37, 23, 64, 64, "84b992c0e2daf29c"},
      {Filter::kBicubic, 1, 200, 150, 64, 48, "d266809d014b70ae"},
      {Filter::kBicubic, 1, 129, 77, 128, 77, "a68c55145885f588"},
      {Filter::kBicubic, 1, 50, 50, 50, 31, "99c3bd2213b9d932"},
      {Filter::kBicubic, 1, 112, 9, 51, 4, "2bce055035e60f9b"},
      {Filter::kBicubic, 3, 37, 23, 64, 64, "348590a0e00012b8"},
      {Filter::kBicubic, 3, 200, 150, 64, 48, "c073a9d6eb515ed1"},
      {Filter::kBicubic, 3, 129, 77, 128, 77, "84033e98193bcd28"},
      {Filter::kBicubic, 3, 50, 50, 50, 31, "484daf5608281dc6"},
      {Filter::kBicubic, 3, 112, 9, 51, 4, "8912251d3c645efd"},
      {Filter::kBicubic, 4, 37, 23, 64, 64, "5eb3db5877ea0d21"},
      {Filter::kBicubic, 4, 200, 150, 64, 48, "2d3ff8a7dedee45e"},
      {Filter::kBicubic, 4, 129, 77, 128, 77, "db7004af7edb5c00"},
      {Filter::kBicubic, 4, 50, 50, 50, 31, "fa513a5613bbae0e"},
      {Filter::kBicubic, 4, 112, 9, 51, 4, "d4118aec9116587c"},
      {Filter::kLanczos, 1, 37, 23, 64, 64, "a36e9649eb054ae7"},
      {Filter::kLanczos, 1, 200, 150, 64, 48, "dfe37c0c2a71918e"},
      {Filter::kLanczos, 1, 129, 77, 128, 77, "cc1d360d82a92b86"},
      {Filter::kLanczos, 1, 50, 50, 50, 31, "c07374f574bd4cef"},
      {Filter::kLanczos, 1, 112, 9, 51, 4, "94a6ed22d69e5b29"},
      {Filter::kLanczos, 3, 37, 23, 64, 64, "7dbf9d77f6ff5b95"},
      {Filter::kLanczos, 3, 200, 150, 64, 48, "6b2ffd4ed3dfa56c"},
      {Filter::kLanczos, 3, 129, 77, 128, 77, "05c8a0a3a552169f"},
      {Filter::kLanczos, 3, 50, 50, 50, 31, "62e69106eada928e"},
      {Filter::kLanczos, 3, 112, 9, 51, 4, "76d8274de15e1b16"},
      {Filter::kLanczos, 4, 37, 23, 64, 64, "df1f3481f5648b04"},
      {Filter::kLanczos, 4, 200, 150, 64, 48, "7e715214feb66eee"},
      {Filter::kLanczos, 4, 129, 77, 128, 77, "3f55aa8c196a32a2"},
      {Filter::kLanczos, 4, 50, 50, 50, 31, "4114251e62a2ebc2"},
      {Filter::kLanczos, 4, 112, 9, 51, 4, "2d1f72e5d875fe5b"},
  };
  for (const auto& row : rows) {
    const auto resized = resize(pattern(row.width, row.height, row.channels), row.to_width, row.to_height, row.filter);
    ASSERT_TRUE(resized.ok()) << resized.status();
    EXPECT_EQ(digest(*resized), row.digest)
        << "filter " << static_cast<int>(row.filter) << ", " << row.channels << " channels, " << row.width << " x "
        << row.height << " to " << row.to_width << " x " << row.to_height;
  }
}

TEST(Resize, KeepsAnImageOfTheSameSize) {
  const Image image = pattern(17, 5, 4);
  EXPECT_EQ(resize(image, 17, 5, Filter::kLanczos)->pixels, image.pixels);
}

TEST(Resize, DoesNotBleedColourOutOfTransparentPixels) {
  Image image{2, 1, 4, {255, 0, 0, 255, 0, 255, 0, 0}};
  const auto resized = resize(image, 1, 1, Filter::kBilinear);
  ASSERT_TRUE(resized.ok());
  EXPECT_EQ(resized->pixels[1], 0) << "green of the invisible pixel shows";
}

TEST(Resize, RefusesWhatItCannotHandle) {
  EXPECT_FALSE(resize(pattern(4, 4, 3), 0, 4, Filter::kLanczos).ok());
  EXPECT_FALSE(resize(pattern(4, 4, 3), 4, 70000, Filter::kLanczos).ok());
  EXPECT_FALSE(resize({0, 0, 3, {}}, 4, 4, Filter::kLanczos).ok());
  EXPECT_FALSE(resize({2, 2, 2, std::vector<uint8_t>(8)}, 4, 4, Filter::kLanczos).ok());
  EXPECT_FALSE(resize({2, 2, 3, std::vector<uint8_t>(11)}, 4, 4, Filter::kLanczos).ok());
}

}  // namespace
}  // namespace espalier::image
