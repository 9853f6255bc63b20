#include <gmock/gmock.h>
#include <torch/types.h>

#include "infer/cascade.h"
#include "infer/samplers/flow_euler.h"
#include "infer/samplers/time_grid.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;

// Predicts the same velocity everywhere: one for the image, another for nothing. Counts and records.
struct FakeNetwork {
  double with = 1, without = 0;
  std::vector<std::pair<float, bool>> calls;

  Predict predict() {
    return [this](const at::Tensor& x, float t, Conditioning conditioning) {
      const bool image = conditioning == Conditioning::kImage;
      calls.emplace_back(t, image);
      return torch::full_like(x, image ? with : without);
    };
  }
};

TEST(TimeGrid, StartsAtOneAndEndsExactlyAtZero) {
  for (int steps : {1, 2, 7, 12, 50}) {
    const auto grid = time_grid(steps, 3);
    ASSERT_EQ(grid.size(), static_cast<size_t>(steps));
    EXPECT_EQ(grid.front().t, 1);
    EXPECT_EQ(grid.back().t_prev, 0);
    for (size_t i = 0; i + 1 < grid.size(); ++i) EXPECT_EQ(grid[i].t_prev, grid[i + 1].t);
  }
}

TEST(TimeGrid, HitsTheEndsOfTheReleasedIntervalsExactly) {
  const auto grid = time_grid(12, 3);
  EXPECT_EQ(grid[3].t, 0.9);
  EXPECT_EQ(grid[8].t, 0.6);
}

TEST(Sample, IntegratesAConstantVelocityExactly) {
  FakeNetwork network{.with = 2, .without = 0, .calls = {}};
  const auto noise = torch::randn({2, 3, 2, 2, 2});
  const auto got = sample(network.predict(), noise, {.steps = 5, .rescale_t = 3});
  ASSERT_TRUE(got.ok());
  EXPECT_LT((*got - (noise - 2)).abs().max().item<double>(), 1e-6);
}

TEST(Sample, MixesTheTwoPredictionsByTheStrength) {
  FakeNetwork network{.with = 1, .without = -1, .calls = {}};
  const auto noise = torch::zeros({1, 1, 2, 2, 2});
  const auto got = sample(network.predict(), noise, {.steps = 4, .guidance_strength = 3});
  ASSERT_TRUE(got.ok());
  EXPECT_NEAR(got->max().item<double>(), -(3 * 1 + (1 - 3) * -1), 1e-6);
}

TEST(Sample, EvaluatesTheConditionFirstAndOnlyInsideTheInterval) {
  FakeNetwork network;
  const SamplerParams params{.steps = 4, .guidance_strength = 3, .interval_start = 0.5, .interval_end = 0.75};
  ASSERT_TRUE(sample(network.predict(), torch::randn({1, 1, 2, 2, 2}), params).ok());
  EXPECT_THAT(network.calls, ElementsAre(std::pair(1000.f, true), std::pair(750.f, true), std::pair(750.f, false),
                                         std::pair(500.f, true), std::pair(500.f, false), std::pair(250.f, true)));
  EXPECT_EQ(evaluations(params), 6);
}

TEST(Sample, AsksOnlyOneSideForStrengthOneAndZero) {
  for (const double strength : {1.0, 0.0}) {
    FakeNetwork network;
    const SamplerParams params{.steps = 3, .guidance_strength = strength, .guidance_rescale = 0.7};
    ASSERT_TRUE(sample(network.predict(), torch::randn({1, 1, 2, 2, 2}), params).ok());
    ASSERT_EQ(network.calls.size(), 3u);
    for (const auto& [t, image] : network.calls) EXPECT_EQ(image, strength == 1);
  }
}

TEST(Sample, TreatsStrengthZeroOutsideTheIntervalAsConditional) {
  FakeNetwork network;
  const SamplerParams params{.steps = 2, .guidance_strength = 0, .interval_start = 0.9};
  ASSERT_TRUE(sample(network.predict(), torch::randn({1, 1, 2, 2, 2}), params).ok());
  EXPECT_THAT(network.calls, ElementsAre(std::pair(1000.f, false), std::pair(500.f, true)));
}

TEST(Sample, RescalesEachSampleOfASparseBatchByItself) {
  const auto noise = torch::randn({10, 3});
  const Predict field = [](const at::Tensor& x, float, Conditioning conditioning) {
    return conditioning == Conditioning::kImage ? x * 0.5 : x * -0.25;
  };
  const SamplerParams params{.steps = 3, .guidance_strength = 4, .guidance_rescale = 1};
  const auto both = sample(field, noise, params, {4, 6});
  const auto first = sample(field, noise.slice(0, 0, 4), params, {4});
  ASSERT_TRUE(both.ok() && first.ok());
  EXPECT_TRUE(both->slice(0, 0, 4).equal(*first));
  EXPECT_FALSE(sample(field, noise, params, {4, 5}).ok()) << "lengths that do not add up";
}

TEST(Sample, StaysFiniteWhenASampleHasNoSpread) {
  FakeNetwork network{.with = 0, .without = 0, .calls = {}};
  const SamplerParams params{.steps = 2, .guidance_strength = 2, .guidance_rescale = 1};
  const auto dense = sample(network.predict(), torch::zeros({1, 1, 2, 2, 2}), params);
  const auto sparse = sample(network.predict(), torch::zeros({3, 2}), params, {3});
  ASSERT_TRUE(dense.ok() && sparse.ok());
  EXPECT_TRUE(dense->isfinite().all().item<bool>());
  EXPECT_TRUE(sparse->isfinite().all().item<bool>());
}

TEST(Sample, ReportsEveryEvaluationAndStopsOnRequest) {
  FakeNetwork network;
  std::stop_source source;
  std::vector<int> done;
  SamplerHooks hooks;
  hooks.stop = source.get_token();
  hooks.progress = [&](int now, int total) {
    EXPECT_EQ(total, 6);
    done.push_back(now);
    if (now == 3) source.request_stop();
  };
  const SamplerParams params{.steps = 3, .guidance_strength = 2};
  const auto got = sample(network.predict(), torch::randn({1, 1, 2, 2, 2}), params, {}, hooks);
  EXPECT_EQ(got.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(done, ElementsAre(1, 2, 3));
  EXPECT_EQ(network.calls.size(), 3u);
}

TEST(Sample, RefusesZeroSteps) {
  FakeNetwork network;
  EXPECT_FALSE(sample(network.predict(), torch::zeros({1, 1, 1, 1, 1}), {.steps = 0}).ok());
}

TEST(CascadeTokens, LowersTheResolutionUntilTheTokensFit) {
  const auto x = torch::arange(0, 512, 2, torch::kInt32);
  const auto coords = torch::stack({torch::zeros_like(x), x, x, x}, 1);
  const CascadeGrid grid{.wanted = 1536};
  const auto roomy = cascade_tokens(coords, grid, 97);
  ASSERT_TRUE(roomy.ok());
  EXPECT_EQ(roomy->resolution, 1536);
  EXPECT_EQ(roomy->coords.size(0), 96);
  EXPECT_EQ(cascade_tokens(coords, grid, 96)->resolution, 1408) << "the budget itself does not fit";
  EXPECT_EQ(cascade_tokens(coords, grid, 1)->resolution, 1024) << "never below 1024";
  EXPECT_FALSE(cascade_tokens(coords, {.wanted = 1000}, 10).ok());
  EXPECT_FALSE(cascade_tokens(coords, {.step = 24}, 10).ok());
  EXPECT_FALSE(cascade_tokens(x, {}, 10).ok());
}

TEST(CascadeTokens, WorksInTheGridsOfASmallBase) {
  const auto x = torch::arange(0, 64, 2, torch::kInt32);
  const auto coords = torch::stack({torch::zeros_like(x), x, x, x}, 1);
  const CascadeGrid grid{.low = 64, .wanted = 192, .lowest = 128, .step = 16};
  EXPECT_EQ(cascade_tokens(coords, grid, 13)->resolution, 192);
  EXPECT_EQ(cascade_tokens(coords, grid, 12)->resolution, 176);
  EXPECT_EQ(cascade_tokens(coords, grid, 1)->resolution, 128);
}

}  // namespace
}  // namespace espalier::infer
