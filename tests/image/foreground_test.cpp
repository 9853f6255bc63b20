#include "image/foreground.h"

#include <gmock/gmock.h>

#include "image/condition_image.h"
#include "image/matte.h"
#include "tests/image/sample_files.h"

namespace espalier::image {
namespace {

using ::testing::HasSubstr;

// A white picture with a blue square of the pixels [8, 24)^2.
Image product_shot() {
  Image image{32, 32, 3, std::vector<uint8_t>(32 * 32 * 3, 250)};
  for (int y = 8; y < 24; ++y) {
    for (int x = 8; x < 24; ++x) std::copy_n(std::begin({20, 30, 200}), 3, image.at(x, y));
  }
  return image;
}

class FixedMatting final : public Matting {
 public:
  Result<Image> rgba(const Image& rgb) override {
    ++calls;
    return KeyerMatting().rgba(rgb);
  }
  int calls = 0;
};

TEST(PreprocessImage, CropsASquareAboutTheForeground) {
  const auto got = preprocess_image(rectangle(64, 48, 10, 20, 31, 31), BackgroundRemoval::kAuto, nullptr);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->channels, 3);
  EXPECT_EQ(got->width, 20);  // the box spans 20 between its first and last column
  EXPECT_EQ(got->height, 20);
  EXPECT_EQ(got->at(0, 10)[0], 255);
  EXPECT_EQ(got->at(0, 0)[0], 0);
}

TEST(PreprocessImage, FillsWhatLiesOutsideWithBlack) {
  const auto got = preprocess_image(rectangle(40, 10, 0, 0, 40, 10), BackgroundRemoval::kAuto, nullptr);
  // Opaque everywhere: no real alpha.
  EXPECT_EQ(got.status().code(), absl::StatusCode::kFailedPrecondition);
  Image edge = rectangle(40, 10, 0, 0, 39, 10);
  const auto padded = preprocess_image(edge, BackgroundRemoval::kAuto, nullptr);
  ASSERT_TRUE(padded.ok());
  EXPECT_EQ(padded->width, 38);
  EXPECT_EQ(padded->at(5, 0)[0], 0);
  EXPECT_EQ(padded->at(5, 19)[0], 255);
}

TEST(PreprocessImage, NeedsAModelOnlyForOpaqueImages) {
  FixedMatting model;
  const auto opaque = preprocess_image(product_shot(), BackgroundRemoval::kAuto, nullptr);
  EXPECT_EQ(opaque.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(opaque.status().message()), HasSubstr("keyer"));
  EXPECT_TRUE(preprocess_image(product_shot(), BackgroundRemoval::kAuto, &model).ok());
  EXPECT_EQ(model.calls, 1);
  EXPECT_TRUE(preprocess_image(rectangle(32, 32, 4, 4, 20, 20), BackgroundRemoval::kAuto, &model).ok());
  EXPECT_EQ(model.calls, 1) << "an image with real alpha keeps it";
  EXPECT_TRUE(preprocess_image(rectangle(32, 32, 4, 4, 20, 20), BackgroundRemoval::kModel, &model).ok());
  EXPECT_EQ(model.calls, 2) << "the model was asked for";
}

TEST(PreprocessImage, KeysOutAPlainBackgroundOnRequest) {
  const auto got = preprocess_image(product_shot(), BackgroundRemoval::kKeyer, nullptr);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_LT(got->width, 16);
  EXPECT_GE(got->width, 12);
  EXPECT_EQ(got->at(got->width / 2, got->width / 2)[2], 200);
}

TEST(PreprocessImage, TakesTheWholePictureWhenAskedTo) {
  const auto got = preprocess_image(product_shot(), BackgroundRemoval::kNone, nullptr);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->width, 30);  // twice half of 31
  EXPECT_EQ(got->at(0, 0)[0], 250);
}

TEST(PreprocessImage, RefusesPicturesWithoutAnObject) {
  Image faint = rectangle(32, 32, 4, 4, 20, 20);
  for (size_t i = 3; i < faint.pixels.size(); i += 4)
    faint.pixels[i] = static_cast<uint8_t>(faint.pixels[i] * 204 / 255);
  const struct {
    const char* name;
    Image image;
    const char* message;
  } rows[] = {
      {"all transparent", rectangle(16, 16, 0, 0, 0, 0), "no foreground"},
      {"alpha below 205", faint, "no foreground"},
      {"one pixel", rectangle(16, 16, 5, 5, 6, 6), "smaller than 2"},
      {"two pixels", rectangle(16, 16, 5, 5, 7, 6), "smaller than 2"},
      {"too thin to shrink", rectangle(1, 4000, 0, 1, 1, 3000), "too thin"},
  };
  for (const auto& row : rows) {
    const auto got = preprocess_image(row.image, BackgroundRemoval::kAuto, nullptr);
    ASSERT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument) << row.name;
    EXPECT_THAT(std::string(got.status().message()), HasSubstr(row.message)) << row.name;
  }
}

TEST(PreprocessImage, ShrinksLargePicturesToTheTruncatedSize) {
  // 1122 * (1024 / 1122) is just below 1024 in float64, so the picture is 1023 wide.
  const auto got = preprocess_image(pattern(1122, 30, 3), BackgroundRemoval::kNone, nullptr);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->width, 1022);
}

TEST(KeyerMatting, LeavesEnclosedBackgroundColourAlone) {
  Image image = product_shot();
  std::fill_n(image.at(15, 15), 3, uint8_t{250});  // a highlight
  const auto got = KeyerMatting().rgba(image);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->at(15, 15)[3], 255);
  EXPECT_EQ(got->at(0, 0)[3], 0);
  EXPECT_LT(got->at(8, 15)[3], 255) << "the edge is feathered";
}

TEST(ApplyMatte, TruncatesAndResizes) {
  const Image rgb = pattern(2, 2, 3);
  const std::vector<float> half(16, 0.999f);
  const auto got = apply_matte(rgb, half, 4);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->pixels[3], 254);
  EXPECT_FALSE(apply_matte(rgb, half, 5).ok());
  EXPECT_FALSE(apply_matte(rgb, std::vector<float>(16, std::numeric_limits<float>::quiet_NaN()), 4).ok());
}

TEST(TrainingConditionImage, ShowsTheObjectOnBlackInTheWholeFrame) {
  const auto got = training_condition_image(rectangle(64, 64, 20, 20, 41, 41), 8);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->size(), 3u * 64);
  EXPECT_NEAR((*got)[27], 1, 1e-6);
  EXPECT_EQ((*got)[64 + 27], 0);
}

TEST(TrainingConditionImage, RefusesEmptyViewsAndBadSizes) {
  EXPECT_FALSE(training_condition_image(rectangle(8, 8, 0, 0, 0, 0), 8).ok());
  EXPECT_FALSE(training_condition_image(rectangle(8, 8, 2, 2, 3, 3), 8).ok());
  EXPECT_FALSE(training_condition_image(rectangle(8, 8, 0, 0, 8, 8), 0).ok());
  EXPECT_FALSE(training_condition_image(pattern(8, 8, 3), 8).ok());
}

TEST(InferenceConditionImage, IsChannelMajorInZeroToOne) {
  const Image image{1, 1, 3, {255, 0, 51}};
  const auto got = inference_condition_image(image, 2);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(*got, ::testing::ElementsAre(1, 1, 1, 1, 0, 0, 0, 0, 0.2f, 0.2f, 0.2f, 0.2f));
  EXPECT_FALSE(inference_condition_image(pattern(4, 4, 4), 2).ok());
}

TEST(NormaliseImagenet, SubtractsMeanAndDividesByDeviation) {
  std::vector<float> planes{0.485f, 0.456f, 0.406f + 0.225f};
  normalise_imagenet(planes);
  EXPECT_EQ(planes[0], 0);
  EXPECT_EQ(planes[1], 0);
  EXPECT_NEAR(planes[2], 1, 1e-6);
}

}  // namespace
}  // namespace espalier::image
