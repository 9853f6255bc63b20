#include "infer/request.h"

#include <gmock/gmock.h>

#include <limits>
#include <thread>

#include "infer/program/one_shot.h"
#include "infer/turn_queue.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

TEST(Apply, KeepsTheBaseWhereNothingIsGiven) {
  std::vector<Fault> faults;
  const SamplerParams base{.steps = 12, .rescale_t = 5, .guidance_strength = 7.5, .guidance_rescale = 0.7};
  const SamplerParams got = apply({.steps = 20,
                                   .guidance_strength = {},
                                   .guidance_rescale = {},
                                   .interval_start = {},
                                   .interval_end = {},
                                   .rescale_t = {}},
                                  base, "sparse_structure", faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(got.steps, 20);
  EXPECT_EQ(got.guidance_strength, 7.5);
  EXPECT_EQ(got.rescale_t, 5);
}

TEST(Apply, NamesEveryValueOutOfRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  SamplerOverrides overrides;
  overrides.steps = 51;
  overrides.guidance_strength = -1;
  overrides.guidance_rescale = nan;
  overrides.rescale_t = 0.5;
  overrides.interval_start = 0.8;
  overrides.interval_end = 0.2;
  std::vector<Fault> faults;
  apply(overrides, {}, "s", faults);
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "s.steps"), Field(&Fault::field, "s.guidance_strength"),
                                  Field(&Fault::field, "s.guidance_rescale"), Field(&Fault::field, "s.rescale_t"),
                                  Field(&Fault::field, "s.guidance_interval_start")));
  EXPECT_THAT(faults[0].message, HasSubstr("1..50"));
}

TEST(CheckRanges, FindsAllFaultsAtOnce) {
  GenerateRequest request;
  request.seed = uint64_t{1} << 31;
  request.resolution = 1536;
  request.samples = 0;
  request.adapters = {{"a", 1}, {"b", 2.5}, {"c", -0.1}};
  std::vector<Fault> faults;
  check_ranges(request, {512, 1024}, faults);
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "seed"), Field(&Fault::field, "resolution"),
                                  Field(&Fault::field, "samples"), Field(&Fault::field, "adapters[1].scale"),
                                  Field(&Fault::field, "adapters[2].scale")));
  const Status status = to_status(faults);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("resolution: 1536 is not one of"));
}

TEST(CheckRanges, AcceptsTheEnds) {
  GenerateRequest request;
  request.seed = (uint64_t{1} << 31) - 1;
  request.resolution = 1024;
  request.samples = kMaxSamples;
  request.adapters = {{"a", 0}, {"b", 2}};
  std::vector<Fault> faults;
  check_ranges(request, {512, 1024}, faults);
  EXPECT_TRUE(faults.empty());
}

TEST(RandomSeed, IsWithinTheAllowedRange) {
  for (int i = 0; i < 50; ++i) EXPECT_LT(random_seed(), uint64_t{1} << 31);
}

TEST(TurnQueue, LetsCallersThroughInOrder) {
  TurnQueue queue(4);
  std::vector<int> order;
  std::vector<std::jthread> callers;
  {
    auto first = queue.wait({});
    ASSERT_TRUE(first.ok());
    for (int i = 0; i < 3; ++i) {
      std::atomic<bool> entering = false;
      callers.emplace_back([&queue, &order, &entering, i] {
        entering = true;
        auto turn = queue.wait({});
        order.push_back(i);
      });
      while (!entering) std::this_thread::yield();
      // Give the caller time to stand in line before the next one comes.
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
    EXPECT_TRUE(order.empty());
  }
  callers.clear();
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(TurnQueue, RefusesMoreThanMayWait) {
  TurnQueue queue(0);
  auto running = queue.wait({});
  ASSERT_TRUE(running.ok());
  EXPECT_EQ(queue.wait({}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(TurnQueue, LetsAWaitingCallerGo) {
  TurnQueue queue(2);
  std::stop_source source;
  source.request_stop();
  {
    auto running = queue.wait({});
    EXPECT_EQ(queue.wait(source.get_token()).status().code(), absl::StatusCode::kCancelled);
  }
  EXPECT_TRUE(queue.wait({}).ok()) << "the one who left blocks nobody";
}

TEST(ParseAdapter, SplitsTheScaleFromTheFile) {
  const struct {
    const char* text;
    const char* file;
    double scale;
  } rows[] = {{"a.safetensors", "a.safetensors", 1},
              {"a.safetensors:0.5", "a.safetensors", 0.5},
              {"dir/a.safetensors:2", "dir/a.safetensors", 2},
              {"C:name", "C:name", 1}};
  for (const auto& row : rows) {
    const AdapterUse got = parse_adapter(row.text);
    EXPECT_EQ(got.file, row.file);
    EXPECT_EQ(got.scale, row.scale) << row.text;
  }
}

TEST(Numbered, PutsTheIndexBeforeTheExtensionForSeveral) {
  EXPECT_EQ(numbered("out/x.glb", 0, 1), "out/x.glb");
  EXPECT_EQ(numbered("out/x.glb", 2, 3), "out/x_2.glb");
}

}  // namespace
}  // namespace espalier::infer
