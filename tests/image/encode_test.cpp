#include <gtest/gtest.h>

#include <cmath>

#include "image/codec.h"

namespace espalier::image {
namespace {

Image gradient(int width, int height, int channels) {
  Image out{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) out.pixels.push_back(static_cast<uint8_t>((3 * x + 2 * y + 40 * c) % 256));
    }
  }
  return out;
}

double difference(const Image& a, const Image& b, int channels) {
  double sum = 0;
  for (int y = 0; y < a.height; ++y) {
    for (int x = 0; x < a.width; ++x) {
      for (int c = 0; c < channels; ++c) sum += std::abs(a.at(x, y)[c] - b.at(x, y)[c]);
    }
  }
  return sum / (a.width * a.height * channels);
}

TEST(EncodeJpeg, KeepsColoursAndDropsAlpha) {
  for (const int channels : {1, 3, 4}) {
    const Image image = gradient(37, 21, channels);
    const auto bytes = encode_jpeg(image, 95);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto back = decode(*bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(back->image.width, 37);
    ASSERT_EQ(back->image.channels, channels == 1 ? 1 : 3);
    EXPECT_LT(difference(image, back->image, back->image.channels), 6);
  }
}

TEST(EncodeWebp, KeepsColoursAndExactAlpha) {
  for (const int channels : {3, 4}) {
    const Image image = gradient(37, 21, channels);
    const auto bytes = encode_webp(image, 95);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto back = decode(*bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(back->image.channels, channels);
    EXPECT_LT(difference(image, back->image, 3), 8);
    for (size_t i = 3; channels == 4 && i < image.pixels.size(); i += 4) {
      ASSERT_EQ(back->image.pixels[i], image.pixels[i]);
    }
  }
}

TEST(EncodeWebp, KeepsColoursUnderAlphaZero) {
  Image image{16, 16, 4, std::vector<uint8_t>(16 * 16 * 4)};
  for (size_t i = 0; i < image.pixels.size(); i += 4) image.pixels[i] = 200;
  const auto back = decode(*encode_webp(image, 90));
  ASSERT_TRUE(back.ok());
  EXPECT_NEAR(back->image.at(8, 8)[0], 200, 12);
}

TEST(EncodeWebpAnimation, HoldsAllFrames) {
  std::vector<Image> frames;
  for (int i = 0; i < 3; ++i)
    frames.push_back({8, 8, 3, std::vector<uint8_t>(8 * 8 * 3, static_cast<uint8_t>(80 * i))});
  const auto bytes = encode_webp_animation(frames, 40, 80);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(bytes->substr(8, 4), "WEBP");
  size_t count = 0;
  for (size_t at = bytes->find("ANMF"); at != std::string::npos; at = bytes->find("ANMF", at + 4)) ++count;
  EXPECT_EQ(count, 3u);
}

TEST(Encoders, RefuseWhatTheyCannotWrite) {
  const Image good = gradient(4, 4, 3);
  Image bad = good;
  bad.pixels.pop_back();
  EXPECT_FALSE(encode_jpeg(bad, 90).ok());
  EXPECT_FALSE(encode_webp(bad, 90).ok());
  EXPECT_FALSE(encode_jpeg(gradient(4, 4, 2), 90).ok());
  EXPECT_FALSE(encode_webp(gradient(4, 4, 1), 90).ok());
  EXPECT_FALSE(encode_webp(gradient(16384, 1, 3), 90).ok());
  for (const int quality : {0, 101}) {
    EXPECT_FALSE(encode_jpeg(good, quality).ok());
    EXPECT_FALSE(encode_webp(good, quality).ok());
  }
  EXPECT_FALSE(encode_webp_animation({}, 40, 80).ok());
  EXPECT_FALSE(encode_webp_animation({good}, 0, 80).ok());
  EXPECT_FALSE(encode_webp_animation({good, gradient(5, 4, 3)}, 40, 80).ok());
}

}  // namespace
}  // namespace espalier::image
