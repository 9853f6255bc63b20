#include "train/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <fstream>

#include "common/files.h"
#include "train/item_stream.h"

namespace espalier::train {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

// Fits a vector to items that each pull it to their own place; sample noise makes the order matter.
struct Toy {
  at::Tensor weight = torch::zeros({3});
  std::vector<int> repeats = {1, 2, 1};
  std::unique_ptr<Collective> alone = *Collective::connect({});
  LoopConfig config;
  LoopHooks hooks;
  int64_t calls = 0;

  Toy() {
    config.steps = 40;
    config.batch_size = 4;
    config.schedule.learning_rate = 0.05;
  }
  Result<LoopResult> run(std::stop_token stop = {}) {
    const auto loss = [this](std::span<const SampleRef> samples) {
      ++calls;
      auto sum = torch::zeros({});
      for (const auto& s : samples) {
        const double noise = random_stream(7, Purpose::kNoise, s.step, s.slot).normal();
        sum = sum + (weight - static_cast<double>(s.item) - 0.1 * noise).square().sum();
      }
      return sum / static_cast<double>(samples.size());
    };
    return run_loop(config, {{"weight", weight}}, repeats, loss, hooks, *alone, stop);
  }
};

TEST(Loop, MovesTheCallersTensor) {
  Toy toy;
  const auto result = toy.run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->steps, 40);
  EXPECT_GT(toy.weight.min().item<double>(), 0.5);
  EXPECT_TRUE(toy.weight.requires_grad());
}

TEST(Loop, CountsEverySampleOnceInMicroBatches) {
  Toy whole, split;
  split.config.micro_batch = 3;  // 3 and 1
  ASSERT_TRUE(whole.run().ok());
  ASSERT_TRUE(split.run().ok());
  EXPECT_EQ(split.calls, 2 * whole.calls);
  EXPECT_LT((whole.weight - split.weight).abs().max().item<double>(), 1e-5);
}

TEST(Loop, LimitsALossCallByItsTokens) {
  Toy whole, limited;
  limited.config.item_tokens = {10, 30, 90};
  limited.config.micro_tokens = 60;
  limited.config.steps = whole.config.steps = 1;  // one epoch: items 0, 1, 1, 2
  ASSERT_TRUE(whole.run().ok());
  ASSERT_TRUE(limited.run().ok());
  EXPECT_EQ(whole.calls, 1);
  EXPECT_EQ(limited.calls, 3);  // 90; 30; 30 + 10
  EXPECT_LT((whole.weight - limited.weight).abs().max().item<double>(), 1e-5);
  limited.config.item_tokens = {10, 30};
  EXPECT_TRUE(absl::IsInvalidArgument(limited.run().status()));
}

TEST(Loop, CountsLossCallsByTheirTokens) {
  Toy toy;
  toy.config.item_tokens = {10, 30, 90};
  toy.config.micro_batch = 1;
  toy.config.steps = 1;
  double reported = 0;
  toy.hooks.on_step = [&](const StepReport& report) { reported = report.loss; };
  ASSERT_TRUE(toy.run().ok());
  ItemStream items(toy.repeats, toy.config.seed);
  double sum = 0, tokens = 0;
  for (int64_t slot = 0; slot < toy.config.batch_size; ++slot) {
    const auto item = items.item(slot);
    const double place = static_cast<double>(item) + 0.1 * random_stream(7, Purpose::kNoise, 0, slot).normal();
    const auto weight = static_cast<double>(toy.config.item_tokens[static_cast<size_t>(item)]);
    sum += weight * 3 * place * place;
    tokens += weight;
  }
  EXPECT_NEAR(reported, sum / tokens, 1e-4);
}

TEST(Loop, GoesOnFromACheckpointBitForBit) {
  const auto folder = *TempDir::create();
  Toy whole;
  whole.config.ema_decay = 0.9;
  ASSERT_TRUE(whole.run().ok());

  Toy first;
  first.config.ema_decay = 0.9;
  first.config.checkpoint_folder = folder.path();
  std::stop_source stop;
  first.hooks.on_step = [&](const StepReport& step) {
    if (step.step == 17) stop.request_stop();
  };
  EXPECT_TRUE(absl::IsCancelled(first.run(stop.get_token()).status()));

  Toy second;
  second.config = first.config;
  const auto result = second.run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->resumed_at, 17);
  EXPECT_TRUE(torch::equal(second.weight, whole.weight));
}

TEST(Loop, KeepsTheNewestCheckpoints) {
  const auto folder = *TempDir::create();
  Toy toy;
  toy.config.checkpoint_folder = folder.path();
  toy.config.checkpoint_every = 10;
  toy.config.keep_checkpoints = 2;
  ASSERT_TRUE(toy.run().ok());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path())) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre("step_0000030.ckpt", "step_0000040.ckpt"));
}

TEST(Loop, FallsBackToTheOlderCheckpointWhenTheNewestIsBroken) {
  for (const bool truncated : {true, false}) {
    const auto folder = *TempDir::create();
    Toy toy;
    toy.config.checkpoint_folder = folder.path();
    toy.config.checkpoint_every = 10;
    ASSERT_TRUE(toy.run().ok());
    const auto newest = folder.path() / "step_0000040.ckpt";
    if (truncated) {
      fs::resize_file(newest, fs::file_size(newest) - 7);
    } else {
      std::fstream file(newest, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-9, std::ios::end);
      file.put('\x55');
    }
    std::string warning;
    Toy again;
    again.config = toy.config;
    again.hooks.on_warning = [&](const std::string& text) { warning = text; };
    const auto result = again.run();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->resumed_at, 30);
    EXPECT_THAT(warning, HasSubstr("step_0000040.ckpt"));
    EXPECT_TRUE(torch::equal(again.weight, toy.weight));
  }
}

TEST(Loop, RefusesTheCheckpointOfAnotherRun) {
  const auto folder = *TempDir::create();
  Toy toy;
  toy.config.checkpoint_folder = folder.path();
  ASSERT_TRUE(toy.run().ok());
  Toy other;
  other.config = toy.config;
  other.config.seed = 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(other.run().status()));
  other.config.resume = false;
  EXPECT_TRUE(other.run().ok());
}

TEST(Loop, SkipsAnUpdateWhoseGradientIsNotFinite) {
  at::Tensor weight = torch::ones({2});
  LoopConfig config;
  config.steps = 3;
  config.batch_size = 1;
  config.schedule.learning_rate = 0.1;
  LoopHooks hooks;
  std::vector<bool> skipped;
  hooks.on_step = [&](const StepReport& step) { skipped.push_back(step.skipped); };
  const auto alone = *Collective::connect({});
  const auto loss = [&](std::span<const SampleRef> samples) {
    return weight.sum() * (samples[0].step == 1 ? std::numeric_limits<double>::infinity() : 1.0);
  };
  ASSERT_TRUE(run_loop(config, {{"weight", weight}}, {1}, loss, hooks, *alone).ok());
  EXPECT_THAT(skipped, testing::ElementsAre(false, true, false));
  EXPECT_TRUE(torch::isfinite(weight).all().item<bool>());
}

TEST(Loop, ReturnsAFailureOfTheLossAsStatus) {
  Toy toy;
  const auto loss = [](std::span<const SampleRef>) -> at::Tensor { throw std::runtime_error("no picture"); };
  const auto result = run_loop(toy.config, {{"weight", toy.weight}}, toy.repeats, loss, {}, *toy.alone);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no picture"));
}

TEST(Loop, ValidatesBeforeAndAfterWithTheAveragedWeights) {
  Toy toy;
  toy.config.ema_decay = 0.5;
  std::vector<std::string> whens;
  std::vector<double> seen;
  toy.hooks.validate = [&] {
    seen.push_back(toy.weight[0].item<double>());
    return ValidationReport{seen.back(), {0.5}, {seen.back()}};
  };
  toy.hooks.on_validation = [&](std::string_view when, int64_t, const ValidationReport&) { whens.emplace_back(when); };
  toy.config.validate_every = 20;
  ASSERT_TRUE(toy.run().ok());
  EXPECT_THAT(whens, testing::ElementsAre("before", "during", "after"));
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), toy.weight[0].item<double>());
}

}  // namespace
}  // namespace espalier::train
