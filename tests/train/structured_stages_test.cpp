#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "common/sha256.h"
#include "nn/io/safetensors.h"
#include "nn/lora/adapter_file.h"
#include "tests/train/tiny_base.h"
#include "tests/train/train_process.h"
#include "train/trainer.h"

// Training of structured latents by the trainer of the dense ones.
namespace espalier::train {
namespace {

using nlohmann::json;
using testing::Each;
using testing::HasSubstr;

struct StructuredStage {
  const char* denoiser;
  const char* stem;     // of its networks' names in the tiny base
  const char* encoder;  // its name in the tiny dataset
};

void PrintTo(const StructuredStage& stage, std::ostream* out) { *out << stage.denoiser; }

class Structured : public testing::TestWithParam<StructuredStage> {
 protected:
  TrainConfig config(const std::string& name, const TinyWorld& world = {}) {
    if (!std::filesystem::exists(world_.path() / "dataset.zip")) write_tiny_world(world_.path(), world);
    auto config = tiny_config(world_.path(), name);
    config.denoiser = GetParam().denoiser;
    config.resolution = world.resolution;
    return config;
  }

  TempDir world_ = *TempDir::create("train_structured");
};

TEST_P(Structured, LearnsAndWritesAnAdapter) {
  auto learning = config("learns");
  learning.peft_folder = world_.path() / "peft";
  const auto result = train(learning);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->validation_after, result->validation_before - 0.05);

  const auto info = nn::read_adapter_info(result->path);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->denoiser, GetParam().denoiser);
  EXPECT_EQ(info->base_model, absl::StrCat(GetParam().stem, "_512"));
  const auto file = nn::SafetensorsFile::open(world_.path() / "peft/adapter_model.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tensors = file->tensors();
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ(tensors->size(), 2u * 7 * 2) << "A and B of seven layers of two blocks";
  EXPECT_TRUE(tensors->contains("base_model.model.blocks.1.cross_attn.to_kv.lora_A.weight"));
}

TEST_P(Structured, TrainsTheOtherNetworkAt1024) {
  const TinyWorld world{.objects = 2, .resolution = 1024};
  const auto result = train(config("fine", world));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->validation_after, result->validation_before);
  const auto info = nn::read_adapter_info(result->path);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->base_model, absl::StrCat(GetParam().stem, "_1024"));
  EXPECT_EQ(info->resolution, 1024);
}

TEST_P(Structured, StopsWithACheckpointAndGoesOnBitForBit) {
  const auto undisturbed = train(config("whole"));
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  auto stopped = config("stopped");
  stopped.checkpoint_folder = world_.path() / "checkpoints";
  std::stop_source stop;
  const auto first = train(stopped, stop.get_token(), [&](const json& event) {
    if (event["event"] == "step" && event["step"] == 41) stop.request_stop();
  });
  EXPECT_EQ(first.status().code(), absl::StatusCode::kCancelled);
  const auto resumed = train(stopped);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->sha256, undisturbed->sha256);
}

TEST_P(Structured, GivesTheSameBitsOnOneAndMoreRanks) {
  std::vector<std::string> digests;
  for (const int world_size : {1, 2, 3}) {
    auto shared = config(absl::StrCat("ranks_", world_size));
    shared.max_tokens_per_call = 16;
    EXPECT_THAT(TrainGang(shared, world_size).finish(), Each(kExitOk)) << world_size;
    digests.push_back(*sha256_hex_of_file(shared.output));
  }
  EXPECT_THAT(digests, Each(digests[0]));
}

TEST_P(Structured, LeavesOutObjectsOfTooManyTokensAndSaysHowMany) {
  std::vector<std::string> warnings;
  const auto result = train(config("left_out", {.objects = 4, .too_large = 3}), {}, [&](const json& event) {
    if (event["event"] == "log") warnings.push_back(event["message"]);
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(warnings, testing::ElementsAre(absl::StrCat("3 of 4 objects are left out of ", GetParam().denoiser,
                                                          ": 3 too_many_tokens")));
}

TEST_P(Structured, RefusesADatasetWithoutAnObjectForIt) {
  const auto status = train(config("none", {.objects = 2, .too_large = 2})).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("no object to train ", GetParam().denoiser, " on (2 of 2 objects")));
}

TEST_P(Structured, RefusesLatentsOfAnotherEncoder) {
  const auto changed = config("other_encoder");
  const auto weights = world_.path() / "base/ckpts" / absl::StrCat(GetParam().stem, "_encoder.safetensors");
  ASSERT_TRUE(write_file_atomic(weights, absl::StrCat(*read_file(weights), " ")).ok());
  const auto status = train(changed).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("another encoder (", GetParam().encoder, ")")));
}

TEST_P(Structured, NamesTheNetworkTheBaseLacks) {
  const auto lacking = config("lacking");
  const auto path = world_.path() / "base/pipeline.json";
  auto pipeline = json::parse(*read_file(path));
  const auto key = absl::StrCat(GetParam().stem, "_slat_flow_model_512");
  pipeline["args"]["models"].erase(key);
  ASSERT_TRUE(write_file_atomic(path, pipeline.dump()).ok());
  const auto status = train(lacking).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("tiny has no " + key));
}

INSTANTIATE_TEST_SUITE_P(Stages, Structured,
                         testing::Values(StructuredStage{"geometry", "shape", "shape_encoder"},
                                         StructuredStage{"texture", "tex", "pbr_encoder"}),
                         [](const auto& instance) { return std::string(instance.param.denoiser); });

class Texture : public testing::Test {
 protected:
  TrainConfig config(const std::string& name, const TinyWorld& world = {}) {
    write_tiny_world(world_.path(), world);
    auto config = tiny_config(world_.path(), name);
    config.denoiser = "texture";
    return config;
  }

  TempDir world_ = *TempDir::create("train_texture");
};

TEST_F(Texture, LeavesOutObjectsWithoutAMaterialAndSaysHowMany) {
  std::vector<std::string> warnings;
  const auto result = train(config("left_out", {.objects = 3, .bare = 1}), {}, [&](const json& event) {
    if (event["event"] == "log") warnings.push_back(event["message"]);
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(warnings, testing::ElementsAre("1 of 3 objects are left out of texture: 1 no_material"));
}

TEST_F(Texture, RefusesShapesOfAnotherEncoder) {
  const auto changed = config("other_encoder");
  const auto weights = world_.path() / "base/ckpts/shape_encoder.safetensors";
  ASSERT_TRUE(write_file_atomic(weights, absl::StrCat(*read_file(weights), " ")).ok());
  EXPECT_THAT(std::string(train(changed).status().message()), HasSubstr("another encoder (shape_encoder)"));
}

}  // namespace
}  // namespace espalier::train
