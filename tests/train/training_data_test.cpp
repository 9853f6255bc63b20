#include "train/training_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "common/files.h"
#include "tests/train/tiny_base.h"

namespace espalier::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class StructuredData : public testing::Test {
 protected:
  void SetUp() override { write_tiny_world(world_.path()); }
  TrainConfig config() const {
    auto config = tiny_config(world_.path(), "unused");
    config.denoiser = "geometry";
    return config;
  }
  static LatentForm form() {
    return {.kind = LatentKind::kShape,
            .channels = 6,
            .grid = 2,
            .normalization = {{0, 1, -1, 0.5, 0, 2}, {1, 2, 1.5, 1, 3, 1}}};
  }

  TempDir world_ = *TempDir::create("training_data");
};

TEST_F(StructuredData, IsNormalisedByChannelAndKeepsItsCells) {
  const auto data = TrainingData::open(config(), form());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->size(), 3);
  const auto raw = data->dataset().objects()[1].shape_latent();
  ASSERT_TRUE(raw.ok()) << raw.status();
  const std::vector<SampleRef> refs = {{0, 0, 0}, {0, 1, 1}};
  const auto samples = data->samples(refs);
  EXPECT_THAT(samples.offsets, ElementsAre(0, data->tokens(0), data->tokens(0) + data->tokens(1)));
  const auto row = samples.offsets[1] + 2;
  for (size_t channel = 0; channel < 6; ++channel) {
    const auto& normal = form().normalization;
    const double want = (raw->feats[2 * 6 + channel] - normal.mean[channel]) / normal.std[channel];
    EXPECT_NEAR(samples.x0[row][static_cast<int64_t>(channel)].item<double>(), want, 1e-6) << channel;
  }
  for (int64_t axis = 0; axis < 3; ++axis) {
    EXPECT_EQ(samples.coords[row][axis + 1].item<int>(), raw->coords[static_cast<size_t>(6 + axis)]) << axis;
  }
  EXPECT_EQ(samples.coords[row][0].item<int>(), 1);
}

TEST_F(StructuredData, RefusesLatentsThatTheNetworkDoesNotTake) {
  auto other_grid = form(), other_channels = form(), statistics = form();
  other_grid.grid = 4;
  other_channels.channels = 5;
  other_channels.normalization = {std::vector<double>(5, 0), std::vector<double>(5, 1)};
  statistics.normalization.mean.pop_back();
  EXPECT_THAT(std::string(TrainingData::open(config(), other_grid).status().message()),
              HasSubstr("latents are 6 x 2^3, the base model takes 6 x 4^3"));
  EXPECT_THAT(std::string(TrainingData::open(config(), other_channels).status().message()),
              HasSubstr("latents are 6 x 2^3, the base model takes 5 x 2^3"));
  EXPECT_THAT(std::string(TrainingData::open(config(), statistics).status().message()), HasSubstr("normalisation"));
}

TEST_F(StructuredData, OfATextureCarriesItsShapeAsTheCleanChannelsBeside) {
  auto of_texture = config();
  of_texture.denoiser = "texture";
  auto wanted = form();
  wanted.kind = LatentKind::kTexture;
  wanted.channels = 5;
  wanted.shape_channels = 6;
  wanted.shape_normalization = form().normalization;
  wanted.normalization = {{-1, 0.5, 0, 1, 0}, {2, 1, 1, 0.5, 1.5}};
  const auto shapes = TrainingData::open(config(), form()), textures = TrainingData::open(of_texture, wanted);
  ASSERT_TRUE(shapes.ok() && textures.ok()) << shapes.status() << textures.status();
  const std::vector<SampleRef> refs = {{0, 0, 2}, {0, 1, 0}};
  const auto shape = shapes->samples(refs), texture = textures->samples(refs);
  EXPECT_FALSE(shape.concat.defined());
  EXPECT_TRUE(at::equal(texture.concat, shape.x0));
  EXPECT_TRUE(at::equal(texture.coords, shape.coords));
  EXPECT_EQ(texture.offsets, shape.offsets);
  const auto raw = textures->dataset().objects()[2].texture_latent();
  ASSERT_TRUE(raw.ok()) << raw.status();
  EXPECT_NEAR(texture.x0[1][3].item<double>(), (raw->feats[5 + 3] - 1) / 0.5, 1e-6);

  wanted.shape_channels = 4;
  EXPECT_THAT(std::string(TrainingData::open(of_texture, wanted).status().message()), HasSubstr("normalisation"));
  wanted.shape_normalization = {std::vector<double>(4, 0), std::vector<double>(4, 1)};
  EXPECT_THAT(std::string(TrainingData::open(of_texture, wanted).status().message()),
              HasSubstr("shape latents have 6 channels, the base model takes 4 beside a texture"));
}

}  // namespace
}  // namespace espalier::train
