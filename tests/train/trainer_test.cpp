#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/files.h"
#include "nn/lora/adapter_file.h"
#include "tests/train/tiny_base.h"

namespace espalier::train {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Trainer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = new TempDir(*TempDir::create("train_test"));
    write_tiny_world(world_->path());
  }
  static void TearDownTestSuite() {
    delete world_;
    world_ = nullptr;
  }
  TrainConfig config(const std::string& name) const { return tiny_config(world_->path(), name); }
  static std::string bytes(const std::string& path) { return *read_file(path); }

  static TempDir* world_;
};
TempDir* Trainer::world_ = nullptr;

TEST_F(Trainer, LearnsAndTellsWhatItDid) {
  std::vector<json> events;
  const auto result = train(config("learns"), {}, [&](const json& event) { events.push_back(event); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->steps, 100);
  EXPECT_LT(result->validation_after, result->validation_before - 0.05);
  EXPECT_EQ(events.front()["event"], "started");
  EXPECT_EQ(events.back()["event"], "result");
  EXPECT_EQ(events.back()["sha256"], result->sha256);
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [](const json& e) { return e["event"] == "step"; }), 100);

  const auto info = nn::read_adapter_info(result->path);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->denoiser, "sparse_structure");
  EXPECT_EQ(info->steps, 100);
  EXPECT_EQ(info->base_sha256.size(), 64u);
  EXPECT_EQ(info->dataset_id.size(), 64u);
}

TEST_F(Trainer, TakesTheLearningRateThatTheBaseRecommends) {
  auto own = config("rate");
  const auto base = world_->path() / "advising_base";
  std::filesystem::copy(own.base, base, std::filesystem::copy_options::recursive);
  json about = json::parse(bytes(base / "espalier.json"));
  about["recommended_learning_rate"] = 3e-3;
  ASSERT_TRUE(write_file_atomic(base / "espalier.json", about.dump()).ok());
  own.base = base;
  own.learning_rate.reset();
  std::vector<std::string> said;
  const auto result = train(own, {}, [&](const json& event) {
    if (event["event"] == "log") said.push_back(event["message"]);
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(nn::read_adapter_info(result->path)->learning_rate, 3e-3);
  EXPECT_THAT(said, testing::Contains(HasSubstr("learning rate 0.003, the default of base model")));
}

TEST_F(Trainer, GivesEqualBytesForEqualRuns) {
  const auto first = train(config("equal_a")), second = train(config("equal_b"));
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->sha256, second->sha256);
  auto other = config("equal_c");
  other.seed = 1;
  EXPECT_NE(train(other)->sha256, first->sha256);
}

TEST_F(Trainer, StopsWithACheckpointAndGoesOnBitForBit) {
  const auto undisturbed = train(config("whole"));
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();

  auto stopped_config = config("stopped");
  stopped_config.checkpoint_folder = world_->path() / "stopped_checkpoints";
  std::stop_source stop;
  const auto stopped = train(stopped_config, stop.get_token(), [&](const json& event) {
    if (event["event"] == "step" && event["step"] == 37) stop.request_stop();
  });
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(stopped_config.output));

  int64_t resumed_at = 0;
  const auto resumed = train(stopped_config, {}, [&](const json& event) {
    if (event["event"] == "started") resumed_at = event["resumed_at"];
  });
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed_at, 37);
  EXPECT_EQ(resumed->sha256, undisturbed->sha256);
  EXPECT_EQ(resumed->validation_before, undisturbed->validation_before);
}

TEST_F(Trainer, GivesTheSameAdapterWithoutConditionCache) {
  auto uncached = config("uncached");
  uncached.condition_cache_bytes = 0;
  EXPECT_EQ(train(uncached)->sha256, train(config("cached"))->sha256);
}

TEST_F(Trainer, CutsBatchesWithoutChangingTheResultMuch) {
  for (const char* denoiser : {"sparse_structure", "geometry"}) {
    auto whole = config("whole"), by_samples = config("by_samples"), by_tokens = config("by_tokens");
    for (auto* each : {&whole, &by_samples, &by_tokens}) each->denoiser = denoiser;
    by_samples.micro_batch = 1;
    by_tokens.max_tokens_per_call = 16;
    const auto want = train(whole), samples = train(by_samples), tokens = train(by_tokens);
    ASSERT_TRUE(want.ok() && samples.ok() && tokens.ok()) << want.status() << samples.status() << tokens.status();
    EXPECT_NEAR(want->validation_after, samples->validation_after, 1e-3) << denoiser;
    EXPECT_NEAR(want->validation_after, tokens->validation_after, 1e-3) << denoiser;
    EXPECT_NE(samples->sha256, want->sha256) << "the cut does nothing";
    EXPECT_NE(tokens->sha256, want->sha256) << "the cut does nothing";
  }
}

TEST_F(Trainer, GivesEqualBytesForAnyGradientCheckpointing) {
  for (const char* denoiser : {"sparse_structure", "geometry", "texture"}) {
    std::vector<std::string> digests;
    for (const char* setting : {"none", "1", "all", "auto"}) {
      auto checkpointed = config("checkpointed");
      checkpointed.denoiser = denoiser;
      checkpointed.gradient_checkpointing = setting;
      const auto result = train(checkpointed);
      ASSERT_TRUE(result.ok()) << result.status();
      digests.push_back(result->sha256);
    }
    EXPECT_THAT(digests, testing::Each(digests[0])) << denoiser;
  }
}

TEST_F(Trainer, TrainsInBfloat16) {
  auto narrow = config("bf16");
  narrow.precision = "bf16";
  const auto result = train(narrow);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->validation_after, result->validation_before);
}

TEST_F(Trainer, RefusesInputsThatDoNotFit) {
  struct Row {
    const char* name;
    std::function<void(TrainConfig&)> change;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"denoiser without a trainer", [](auto& c) { c.denoiser = "colour"; },
       "allowed: sparse_structure, geometry, texture"},
      {"missing dataset", [](auto& c) { c.dataset = "/nonexistent.zip"; }, "nonexistent"},
      {"missing base", [](auto& c) { c.base = "/nonexistent"; }, "nonexistent"},
      {"other resolution", [](auto& c) { c.resolution = 1024; }, "resolution"},
      {"all views held out", [](auto& c) { c.holdout_views = {0, 1, 2, 3, 4, 5}; }, "holdout_view"},
      {"target of no network", [](auto& c) { c.targets = "attn.to_nowhere"; }, "to_nowhere"},
  };
  for (const auto& row : rows) {
    auto changed = config("refused");
    row.change(changed);
    const auto result = train(changed);
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(row.message)) << row.name;
    EXPECT_TRUE(absl::IsInvalidArgument(result.status()) || absl::IsNotFound(result.status())) << row.name;
  }
}

TEST(TrainConfigValidation, NamesEveryFaultAtOnce) {
  TrainConfig config;
  config.denoiser = "foo";
  config.rank = 17;
  config.steps = 99;
  config.learning_rate = 0;
  config.resolution = 640;
  config.gradient_checkpointing = "some";
  config.max_tokens_per_call = -1;
  const auto message = std::string(validate(config).message());
  for (const char* field : {"dataset:", "base:", "output:", "denoiser:", "rank:", "steps:", "learning_rate:",
                            "resolution:", "gradient_checkpointing:", "max_tokens_per_call:"}) {
    EXPECT_THAT(message, HasSubstr(field));
  }
}

}  // namespace
}  // namespace espalier::train
