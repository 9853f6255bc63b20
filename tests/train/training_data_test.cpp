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
  static LatentForm form() { return {LatentKind::kStructured, 6, 2, {{0, 1, -1, 0.5, 0, 2}, {1, 2, 1.5, 1, 3, 1}}}; }

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

}  // namespace
}  // namespace espalier::train
