#include "infer/engine.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "common/files.h"
#include "common/sha256.h"
#include "tests/infer_support/engine_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class EngineTest : public EngineFixture {
 protected:
  static void SetUpTestSuite() { open_base(write_tiny_base); }

  static GenerateRequest request(uint64_t seed = 7) {
    GenerateRequest request;
    request.image = picture();
    request.seed = seed;
    return request;
  }

  static const std::string& glb(const GeneratedAssets& assets) { return assets.samples[0].file(FileFormat::kGlb); }
};

TEST_F(EngineTest, MakesAGlbAndVoxelsFromAnImage) {
  const auto assets = engine_->generate(request());
  ASSERT_TRUE(assets.ok()) << assets.status();
  ASSERT_EQ(assets->samples.size(), 1u);
  EXPECT_EQ(glb(*assets).substr(0, 4), "glTF");
  EXPECT_FALSE(assets->samples[0].voxels.empty());
  for (const auto& voxel : assets->samples[0].voxels) {
    for (const int32_t c : voxel) EXPECT_TRUE(c >= 0 && c < 8);
  }
  EXPECT_TRUE(std::is_sorted(assets->samples[0].voxels.begin(), assets->samples[0].voxels.end()));
  EXPECT_EQ(assets->structure_resolution, 8);
  EXPECT_EQ(assets->resolution, 512);
  EXPECT_EQ(assets->sparse_structure.guidance_strength, 3);
  EXPECT_THAT(assets->seconds, ElementsAre(::testing::Pair("condition", ::testing::Ge(0)),
                                           ::testing::Pair("sparse_structure", ::testing::Ge(0)),
                                           ::testing::Pair("mesh", ::testing::Ge(0))));
}

TEST_F(EngineTest, RepeatsItselfForTheSameSeed) {
  const auto first = engine_->generate(request(3)), second = engine_->generate(request(3));
  const auto other = engine_->generate(request(4));
  ASSERT_TRUE(first.ok() && second.ok() && other.ok());
  EXPECT_EQ(glb(*first), glb(*second));
  EXPECT_NE(first->samples[0].voxels, other->samples[0].voxels);
}

TEST_F(EngineTest, DrawsAndTellsASeedWhenNoneIsGiven) {
  GenerateRequest asked = request();
  asked.seed.reset();
  uint64_t told = 0;
  const auto drawn =
      engine_->generate(asked, {.started = [&](uint64_t seed) { told = seed; }, .progress = {}, .stop = {}});
  ASSERT_TRUE(drawn.ok());
  EXPECT_EQ(drawn->seed, told);
  const auto repeated = engine_->generate(request(told));
  EXPECT_EQ(drawn->samples[0].voxels, repeated->samples[0].voxels);
}

TEST_F(EngineTest, GivesEverySampleItsOwnNoise) {
  GenerateRequest several = request(3);
  several.samples = 3;
  const auto assets = engine_->generate(several), single = engine_->generate(request(3));
  ASSERT_TRUE(assets.ok() && single.ok());
  ASSERT_EQ(assets->samples.size(), 3u);
  EXPECT_EQ(assets->samples[0].voxels, single->samples[0].voxels) << "the first equals a run of one";
  EXPECT_NE(assets->samples[0].voxels, assets->samples[1].voxels);
}

TEST_F(EngineTest, PoolsTheStructureOnRequest) {
  GenerateRequest pooled = request();
  pooled.pooled_structure = true;
  const auto assets = engine_->generate(pooled);
  ASSERT_TRUE(assets.ok());
  EXPECT_EQ(assets->structure_resolution, 4);
}

TEST_F(EngineTest, AppliesAdaptersForOneRequestOnly) {
  ASSERT_TRUE(write_tiny_adapter(file("a.safetensors"), 1));
  GenerateRequest adapted = request();
  adapted.adapters = {{file("a.safetensors"), 2}};
  const auto before = engine_->generate(request()), with = engine_->generate(adapted);
  adapted.adapters[0].scale = 0;
  const auto off = engine_->generate(adapted), after = engine_->generate(request());
  ASSERT_TRUE(before.ok() && with.ok() && off.ok() && after.ok()) << with.status();
  EXPECT_NE(with->samples[0].voxels, before->samples[0].voxels);
  EXPECT_EQ(glb(*off), glb(*before)) << "scale 0 is exactly the base";
  EXPECT_EQ(glb(*after), glb(*before)) << "nothing stays behind";
}

TEST_F(EngineTest, AddsSeveralAdapters) {
  ASSERT_TRUE(write_tiny_adapter(file("a.safetensors"), 1));
  GenerateRequest once = request(), halves = request();
  once.adapters = {{file("a.safetensors"), 2}};
  halves.adapters = {{file("a.safetensors"), 1}, {file("a.safetensors"), 1}};
  const auto whole = engine_->generate(once), sum = engine_->generate(halves);
  ASSERT_TRUE(whole.ok() && sum.ok());
  EXPECT_EQ(whole->samples[0].voxels, sum->samples[0].voxels);
}

TEST_F(EngineTest, AcceptsAnAdapterOfThisBase) {
  const auto digest = sha256_hex_of_file(base() / "ckpts/flow.safetensors");
  ASSERT_TRUE(digest.ok());
  ASSERT_TRUE(write_tiny_adapter(file("own.safetensors"), 1, {.base_sha256 = *digest}));
  GenerateRequest adapted = request();
  adapted.adapters = {{file("own.safetensors"), 1}};
  const auto assets = engine_->generate(adapted);
  EXPECT_TRUE(assets.ok()) << assets.status();
}

TEST_F(EngineTest, RefusesWithAllFaultsBeforeAnyWork) {
  ASSERT_TRUE(write_tiny_adapter(file("geometry.safetensors"), 1, {.denoiser = "geometry"}));
  ASSERT_TRUE(write_tiny_adapter(file("foreign.safetensors"), 1, {.base_sha256 = std::string(64, 'a')}));
  ASSERT_TRUE(write_file_atomic(file("text.safetensors"), "not an adapter").ok());
  GenerateRequest bad = request();
  bad.image = "solid cube";
  bad.samples = 9;
  bad.resolution = 1024;
  bad.sparse_structure.steps = 0;
  bad.adapters = {{file("geometry.safetensors"), 1},
                  {file("foreign.safetensors"), 1},
                  {file("text.safetensors"), 1},
                  {file("missing.safetensors"), 3}};
  bool started = false;
  std::vector<Fault> faults;
  const auto got =
      engine_->generate(bad, {.started = [&](uint64_t) { started = true; }, .progress = {}, .stop = {}}, &faults);
  EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(started);
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "resolution"), Field(&Fault::field, "samples"),
                                  Field(&Fault::field, "adapters[3].scale"),
                                  Field(&Fault::field, "sparse_structure.steps"), Field(&Fault::field, "adapters[0]"),
                                  Field(&Fault::field, "adapters[1]"), Field(&Fault::field, "adapters[2]"),
                                  Field(&Fault::field, "adapters[3]"), Field(&Fault::field, "image")));
  EXPECT_THAT(faults[4].message, HasSubstr("geometry"));
  EXPECT_THAT(faults[5].message, HasSubstr("another base"));
  EXPECT_THAT(std::string(got.status().message()), HasSubstr("image: not an image"));
}

TEST_F(EngineTest, AsksForAWayToFindTheForegroundOfOpaqueImages) {
  GenerateRequest opaque = request();
  opaque.image = opaque_picture();
  const auto refused = engine_->generate(opaque);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("keyer"));
  for (const auto removal : {image::BackgroundRemoval::kKeyer, image::BackgroundRemoval::kNone}) {
    opaque.background = removal;
    EXPECT_TRUE(engine_->generate(opaque).ok());
  }
}

TEST_F(EngineTest, CountsProgressByNetworkEvaluations) {
  std::vector<std::string> stages;
  int evaluations = 0;
  GenerateHooks hooks;
  hooks.progress = [&](std::string_view stage, int done, int total) {
    if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
    if (stage != "sparse_structure") return;
    EXPECT_EQ(done, ++evaluations);
    EXPECT_EQ(total, 7);  // 4 steps, of which those at t >= 0.6 are guided: 1, 0.9, 0.75
  };
  ASSERT_TRUE(engine_->generate(request(), hooks).ok());
  EXPECT_THAT(stages, ElementsAre("condition", "sparse_structure", "mesh"));
  EXPECT_EQ(evaluations, 7);
}

TEST_F(EngineTest, StopsBeforeTheNextEvaluation) {
  std::stop_source source;
  int evaluations = 0;
  GenerateHooks hooks;
  hooks.stop = source.get_token();
  hooks.progress = [&](std::string_view stage, int, int) {
    evaluations += stage == "sparse_structure";
    if (evaluations == 2) source.request_stop();
  };
  EXPECT_EQ(engine_->generate(request(), hooks).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(evaluations, 2);
}

TEST_F(EngineTest, ServesSeveralThreads) {
  const auto want = engine_->generate(request(11));
  ASSERT_TRUE(want.ok());
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      const auto got = engine_->generate(request(11));
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(glb(*got), glb(*want));
    });
  }
}

TEST_F(EngineTest, RunsTheDenoiserInBfloat16) {
  EngineOptions options;
  options.base = base();
  options.bfloat16 = true;
  const auto engine = Engine::open(options);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_TRUE((*engine)->generate(request()).ok());
}

TEST_F(EngineTest, NamesWhatIsWrongWithABase) {
  const auto open = [](const std::filesystem::path& folder, const std::string& device) {
    EngineOptions options;
    options.base = folder;
    options.device = device;
    return Engine::open(options).status();
  };
  EXPECT_EQ(open(file("nowhere"), "cpu").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(open(base(), "abacus").code(), absl::StatusCode::kInvalidArgument);
  const auto copy = file("broken");
  std::filesystem::copy(base(), copy, std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(copy / "ckpts/flow.safetensors", 100);
  const Status broken = open(copy, "cpu");
  EXPECT_FALSE(broken.ok());
  EXPECT_THAT(std::string(broken.message()), HasSubstr("flow"));
}

}  // namespace
}  // namespace espalier::infer
