#include "infer/request.h"

#include <gmock/gmock.h>

#include <limits>
#include <thread>

#include "infer/pipeline.h"
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
  request.samples = 0;
  request.max_num_tokens = 15;
  request.decimation_target = 999;
  request.adapters = {{"a", 1}, {"b", 2.5}, {"c", -0.1}};
  request.formats = {FileFormat::kGlb, FileFormat::kObj, FileFormat::kGlb};
  std::vector<Fault> faults;
  check_ranges(request, faults);
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "seed"), Field(&Fault::field, "samples"),
                                  Field(&Fault::field, "max_num_tokens"), Field(&Fault::field, "adapters[1].scale"),
                                  Field(&Fault::field, "adapters[2].scale"),
                                  Field(&Fault::field, "mesh.decimation_target"), Field(&Fault::field, "formats[2]")));
  const Status status = to_status(faults);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("samples: 0 is not in 1..8"));
}

TEST(CheckRanges, AcceptsTheEnds) {
  for (const bool high : {false, true}) {
    GenerateRequest request;
    request.seed = high ? (uint64_t{1} << 31) - 1 : 0;
    request.samples = high ? kMaxSamples : 1;
    request.max_num_tokens = high ? 1 << 20 : 16;
    request.decimation_target = high ? 1 << 24 : 1000;
    request.adapters = {{"a", high ? 2.0 : 0.0}};
    std::vector<Fault> faults;
    check_ranges(request, faults);
    EXPECT_TRUE(faults.empty()) << to_status(faults);
  }
}

TEST(FormatOf, GoesByTheExtension) {
  EXPECT_EQ(format_of("out/a.GLB"), FileFormat::kGlb);
  EXPECT_EQ(format_of("a.b.npz"), FileFormat::kNpz);
  EXPECT_EQ(format_of("glb"), std::nullopt);
  EXPECT_EQ(format_of("a.fbx"), std::nullopt);
}

TEST(Pipelines, AreFoundByNameAndByResolution) {
  EXPECT_EQ(pipeline_for(512)->name, "512");
  EXPECT_EQ(pipeline_for(1024)->name, "1024_cascade");
  EXPECT_EQ(pipeline_for(1536)->name, "1536_cascade");
  EXPECT_EQ(pipeline_for(2048), nullptr);
  EXPECT_EQ(find_pipeline("1024")->structure, 64);
  EXPECT_EQ(find_pipeline("2048"), nullptr);
}

TEST(Pipelines, ScaleWithTheBase) {
  const Pipeline& cascade = *find_pipeline("1536_cascade");
  const PipelineGrids quarter = scaled(cascade, 0.25);
  EXPECT_EQ(quarter.structure, 8);
  EXPECT_EQ(quarter.low_voxels, 128);
  EXPECT_EQ(quarter.voxels, 384);
  EXPECT_EQ(quarter.lowest, 256);
  EXPECT_EQ(quarter.step, 32);
  EXPECT_TRUE(fits(quarter, cascade, 0.25));
  const Pipeline& plain = *find_pipeline("512");
  EXPECT_FALSE(fits(scaled(cascade, 1.0 / 16), cascade, 1.0 / 16)) << "a step of half a latent cell";
  EXPECT_TRUE(fits(scaled(plain, 1.0 / 16), plain, 1.0 / 16));
  EXPECT_FALSE(fits(scaled(plain, 0.3), plain, 0.3));
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
