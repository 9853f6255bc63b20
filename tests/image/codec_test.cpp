#include "image/codec.h"

#include <gmock/gmock.h>

#include "tests/image/sample_files.h"

namespace espalier::image {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr const char* kPaletteKeyPng =
    "89504e470d0a1a0a0000000d4948445200000002000000010103000000ceecedc900000006504c54450a141e28323cd51bb4e900000002"
    "74524e53ff077bd3a5e90000000a49444154789c63700000004200412937f4ef0000000049454e44ae426082";
constexpr const char* kCmykJpeg =
    "ffd8ffee000e41646f626500640000000000ffdb0043000201010101010201010102020202020403020202020504040304060506060605"
    "060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a0affc000140800080008044311004d11005911004b1100ff"
    "c4001f0000010501010101010100000000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d0102"
    "0300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a"
    "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda000e04"
    "43004d0059004b00003f00fdd4afd0cafcdbafd84affd9";

TEST(Decode, ReturnsThePixelsThatWereEncoded) {
  for (int channels : {1, 3, 4}) {
    const Image image = pattern(13, 7, channels);
    const auto bytes = encode_png(image);
    ASSERT_TRUE(bytes.ok());
    const auto decoded = decode(*bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->image.channels, channels);
    EXPECT_EQ(decoded->image.pixels, image.pixels);
  }
}

TEST(Decode, ReadsWebpWithAndWithoutAlpha) {
  for (int channels : {3, 4}) {
    Image image = pattern(9, 6, channels);
    const auto decoded = decode(encode_webp_lossless(image));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->image.channels, channels);
    EXPECT_EQ(decoded->image.width, 9);
  }
}

struct PngRow {
  const char* name;
  const char* hex;
  ColorMode mode;
  int channels;
  std::vector<uint8_t> pixels;
};

TEST(Decode, BringsEveryPngColourTypeToEightBits) {
  const PngRow rows[] = {
      {"palette",
       "89504e470d0a1a0a0000000d4948445200000002000000010103000000ceecedc900000006504c54450a141e28323cd51bb4e90000000a4"
       "9"
       "444154789c63700000004200412937f4ef0000000049454e44ae426082",
       ColorMode::kPalette,
       3,
       {10, 20, 30, 40, 50, 60}},
      {"palette with transparency", kPaletteKeyPng, ColorMode::kPaletteAlpha, 4, {10, 20, 30, 255, 40, 50, 60, 7}},
      {"grey and alpha",
       "89504e470d0a1a0a0000000d49484452000000020000000108040000005e2bb7010000000d49444154789c63e0fc7f82190004b901d4d6a"
       "b"
       "bdb80000000049454e44ae426082",
       ColorMode::kGrayAlpha,
       4,
       {9, 9, 9, 255, 200, 200, 200, 3}},
      {"1 bit",
       "89504e470d0a1a0a0000000d4948445200000002000000010100000000dc5942270000000a49444154789c63700000004200412937f4ef0"
       "0"
       "00000049454e44ae426082",
       ColorMode::kGray,
       1,
       {0, 255}},
      {"16 bit grey",
       "89504e470d0a1a0a0000000d494844520000000200000001100000000081d9fc150000000d49444154789c631032f9cf080002e80147eff"
       "3"
       "79840000000049454e44ae426082",
       ColorMode::kGray,
       1,
       {0x12, 0xff}},
      {"grey with a transparent value",
       "89504e470d0a1a0a0000000d4948445200000002000000010800000000d14920560000000274524e5300090f4f759c0000000b494441547"
       "8"
       "9c63e03c010000dd00d25c72748b0000000049454e44ae426082",
       ColorMode::kGrayAlpha,
       4,
       {9, 9, 9, 0, 200, 200, 200, 255}},
      {"RGB with a transparent colour",
       "89504e470d0a1a0a0000000d49484452000000020000000108020000007b40e8dd0000000674524e53000100020003c94babf50000000f4"
       "9"
       "444154789c636464626666660600003c0011d57e46e60000000049454e44ae426082",
       ColorMode::kRgba,
       4,
       {1, 2, 3, 0, 4, 5, 6, 255}},
  };
  for (const PngRow& row : rows) {
    const auto decoded = decode(from_hex(row.hex));
    ASSERT_TRUE(decoded.ok()) << row.name << ": " << decoded.status();
    EXPECT_EQ(decoded->mode, row.mode) << row.name;
    EXPECT_EQ(decoded->image.channels, row.channels) << row.name;
    EXPECT_THAT(decoded->image.pixels, ElementsAreArray(row.pixels)) << row.name;
  }
}

TEST(Decode, TurnsCmykIntoRgbAsPillowDoes) {
  const auto decoded = decode(from_hex(kCmykJpeg));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->mode, ColorMode::kCmyk);
  const uint8_t* pixel = decoded->image.at(3, 3);
  EXPECT_THAT(std::vector<uint8_t>(pixel, pixel + 3), ElementsAre(216, 172, 49));
}

TEST(Decode, AppliesTheOrientationOfJpegs) {
  // One bright quarter, at the stored picture's top left; where it ends up for each orientation (right, bottom).
  constexpr bool kRight[] = {false, true, true, false, false, true, true, false};
  constexpr bool kBottom[] = {false, false, true, true, false, false, true, true};
  Image image{32, 16, 3, std::vector<uint8_t>(32 * 16 * 3)};
  for (int y = 0; y < 8; ++y) std::fill(image.at(0, y), image.at(16, y), 255);
  const std::string jpeg = encode_jpeg(image);
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const auto decoded = decode(with_orientation(jpeg, orientation));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    const Image& got = decoded->image;
    EXPECT_EQ(got.width, orientation >= 5 ? 16 : 32);
    for (int quarter = 0; quarter < 4; ++quarter) {
      const bool right = (quarter & 1) != 0, bottom = (quarter & 2) != 0;
      const bool bright = got.at(right ? got.width - 2 : 1, bottom ? got.height - 2 : 1)[0] > 128;
      EXPECT_EQ(bright, right == kRight[orientation - 1] && bottom == kBottom[orientation - 1])
          << "orientation " << int{orientation} << " quarter " << quarter;
    }
  }
}

TEST(Decode, IgnoresABrokenExifBlock) {
  const std::string jpeg = encode_jpeg(pattern(8, 8, 3));
  for (const uint8_t orientation : {uint8_t{0}, uint8_t{9}, uint8_t{200}}) {
    EXPECT_TRUE(decode(with_orientation(jpeg, orientation)).ok());
  }
  std::string far_directory = with_orientation(jpeg, 6);
  far_directory[2 + 14] = '\xf0';  // the directory's offset points outside
  far_directory[2 + 17] = '\x7f';
  EXPECT_TRUE(decode(far_directory).ok());
}

TEST(Decode, RefusesWhatIsNotAWholeImage) {
  const std::string png = *encode_png(pattern(40, 30, 3));
  const std::string jpeg = encode_jpeg(pattern(64, 64, 3));
  const std::string webp = encode_webp_lossless(pattern(40, 30, 4));
  std::string flipped = png;
  flipped[png.size() / 2] = static_cast<char>(flipped[png.size() / 2] ^ 0x55);
  const struct {
    const char* name;
    std::string bytes;
    const char* message;
  } rows[] = {
      {"empty", "", "not an image"},
      {"text", "solid cube\n", "not an image"},
      {"GIF", "GIF89a\x01\x00\x01", "not an image"},
      {"SVG", "<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"},
      {"PNG magic only", png.substr(0, 8), "PNG file is damaged"},
      {"PNG cut in the header", png.substr(0, 20), "PNG file is damaged"},
      {"PNG cut in the pixels", png.substr(0, png.size() / 2), "PNG file is damaged"},
      {"PNG with a flipped byte", flipped, "PNG file is damaged"},
      {"JPEG magic only", jpeg.substr(0, 4), "JPEG file is damaged"},
      {"JPEG cut in the pixels", jpeg.substr(0, jpeg.size() / 2), "JPEG file is damaged"},
      {"WebP cut in the header", webp.substr(0, 14), "WebP file is damaged"},
      {"WebP cut in the pixels", webp.substr(0, webp.size() / 2), "WebP file is damaged"},
  };
  for (const auto& row : rows) {
    const auto decoded = decode(row.bytes);
    ASSERT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << row.name;
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(row.message)) << row.name;
  }
}

TEST(Decode, ChecksTheSizeBeforeItAllocates) {
  const struct {
    uint32_t width, height;
    const char* message;
  } rows[] = {{4097, 1, "4097 x 1"}, {1, 4097, "1 x 4097"}, {0x7fffffff, 0x7fffffff, "4096"}};
  for (const auto& row : rows) {
    const auto decoded = decode(png_header(row.width, row.height));
    ASSERT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(row.message));
  }
  EXPECT_FALSE(decode(png_header(0, 5)).ok());
}

TEST(Decode, RefusesFilesAboveTheByteLimit) {
  const std::string png = *encode_png(pattern(40, 30, 3));
  EXPECT_EQ(decode(png, {.max_bytes = png.size() - 1}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(decode(png, {.max_bytes = png.size()}).ok());
}

TEST(Decode, SurvivesEveryCutAndManyFlippedBytes) {
  const std::string files[] = {*encode_png(pattern(23, 17, 4)), with_orientation(encode_jpeg(pattern(24, 16, 3)), 6),
                               encode_webp_lossless(pattern(23, 17, 4)), from_hex(kPaletteKeyPng), from_hex(kCmykJpeg)};
  for (const std::string& file : files) {
    ASSERT_TRUE(decode(file).ok());
    for (size_t at = 0; at < file.size(); ++at) {
      static_cast<void>(decode(file.substr(0, at)));
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string changed = file;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        const auto decoded = decode(changed);
        if (!decoded.ok()) continue;
        const Image& image = decoded->image;
        ASSERT_EQ(image.pixels.size(), static_cast<size_t>(image.width) * image.height * image.channels);
      }
    }
  }
}

TEST(EncodePng, IsDeterministicAndRefusesInconsistentImages) {
  EXPECT_EQ(*encode_png(pattern(20, 20, 4)), *encode_png(pattern(20, 20, 4)));
  Image short_of_pixels = pattern(4, 4, 3);
  short_of_pixels.pixels.pop_back();
  EXPECT_FALSE(encode_png(short_of_pixels).ok());
  EXPECT_FALSE(encode_png({2, 2, 2, std::vector<uint8_t>(8)}).ok());
  EXPECT_FALSE(encode_png({0, 4, 3, {}}).ok());
}

}  // namespace
}  // namespace espalier::image
