#include "preprocess/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/files.h"
#include "dataset/reader.h"
#include "image/codec.h"
#include "preprocess/command_line.h"
#include "tests/preprocess/boxes.h"
#include "tests/preprocess/preparation.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using testing::box_glb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Pipeline : public testing::PreparationTest {};

TEST_F(Pipeline, MakesADatasetAndSkipsWhatIsBroken) {
  zip({{"a/flat.glb", box_glb(1, 1, 0.2f)},
       {"a/tall.glb", box_glb(0.2f, 0.2f, 1)},
       {"broken.glb", box_glb(1, 1, 1).substr(0, 200)},
       {"copy.glb", box_glb(1, 1, 0.2f)},
       {"readme.txt", "x"}});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->objects, 2);
  EXPECT_EQ(result->failed, 1);
  EXPECT_EQ(result->duplicates, 1);
  EXPECT_FALSE(result->reused);
  EXPECT_THAT(events_, SizeIs(4));
  EXPECT_EQ(event_of("broken.glb").code, "UNREADABLE");
  EXPECT_EQ(event_of("copy.glb").status, "duplicate");
  const auto data = dataset::PreparedDataset::open(config_.output);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->id(), result->dataset_id);
  ASSERT_THAT(data->objects(), SizeIs(2));
  EXPECT_EQ(data->manifest().folders.at("ss_latent"), "ss_latents/ss_enc_tiny_16");
  for (const dataset::Object& object : data->objects()) {
    EXPECT_EQ(object.ss_channels, 8);
    EXPECT_EQ(object.ss_grid, 4);
    EXPECT_EQ(object.ss_latent()->size(), 8u * 64);
    ASSERT_EQ(object.views(), 2u);
    const auto picture = image::decode(*object.view_png(1));
    ASSERT_TRUE(picture.ok());
    EXPECT_EQ(picture->image.width, 64);
    EXPECT_EQ(picture->image.channels, 4);
    EXPECT_GT((*object.occupancy())->size(), 0u);
  }
}

TEST_F(Pipeline, OccupancyIsThatOfTheSurface) {
  zip({{"cube.glb", box_glb(1, 1, 1)}});
  ASSERT_TRUE(run().ok());
  const auto data = dataset::PreparedDataset::open(config_.output);
  EXPECT_EQ((*data->objects()[0].occupancy())->size(), 3u * (16 * 16 * 16 - 14 * 14 * 14));
}

TEST_F(Pipeline, SameInputGivesSameBytesForAnyNumberOfThreads) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}, {"b.glb", box_glb(0.2f, 0.5f, 1)}});
  const auto first = run();
  config_.threads = 1;
  config_.output = path("again.zip");
  const auto second = run();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->sha256, second->sha256);
  config_.seed = 1;
  EXPECT_NE(run()->sha256, first->sha256);
}

TEST_F(Pipeline, GoesOnWithFinishedObjects) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}, {"b.glb", box_glb(0.2f, 0.5f, 1)}});
  const auto undisturbed = run();
  config_.work_dir = path("work");
  ASSERT_TRUE(run().ok());
  config_.importer.program = "/nonexistent";  // nothing is left to import
  const auto resumed = run();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->sha256, undisturbed->sha256);
  for (const auto& file : fs::recursive_directory_iterator(path("work"))) {
    if (file.path().filename() != "000.png") continue;
    std::ofstream(file.path(), std::ios::app) << "x";  // damaged while nobody looked
    break;
  }
  EXPECT_EQ(run().status().code(), absl::StatusCode::kUnavailable);
  config_.importer.program.clear();
  EXPECT_EQ(run()->sha256, undisturbed->sha256);
}

TEST_F(Pipeline, AHangingOrCrashingImporterCostsOnlyItsAsset) {
  const std::string crash = box_glb(1, 1, 1), good = box_glb(1, 1, 0.2f), hang = box_glb(1, 0.3f, 1);
  const fs::path script = path("importer.sh");
  std::ofstream(script) << "#!/bin/sh\ncase \"$3\" in\ncrash.glb) kill -SEGV $$;;\nhang.glb) sleep 100;;\n"
                        << "*) exec " << ESP_BIN_DIR << "/espalier-preprocess \"$@\";;\nesac\n";
  ::chmod(script.c_str(), 0700);
  config_.importer.program = script;
  config_.work_dir = path("work");  // so that the good one need not be as fast as the limit below
  zip({{"crash.glb", crash}, {"good.glb", good}});
  const auto crashed = run();
  ASSERT_TRUE(crashed.ok()) << crashed.status();
  EXPECT_EQ(crashed->objects, 1);
  EXPECT_EQ(event_of("crash.glb").code, "UNREADABLE");
  config_.importer.limits.wall_seconds = 1;
  zip({{"good.glb", good}, {"hang.glb", hang}});
  const auto hung = run();
  ASSERT_TRUE(hung.ok()) << hung.status();
  EXPECT_EQ(hung->objects, 1);
  EXPECT_EQ(event_of("hang.glb").code, "TIMEOUT");
}

TEST_F(Pipeline, TurnsAnObjectUpAsTheManifestSays) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}, {"manifest.csv", "path,up_axis\na.glb,z\n"}});
  ASSERT_TRUE(run().ok());
  const auto data = dataset::PreparedDataset::open(config_.output);
  // Flat along z in our frame; the file's z is our -y, which is up now: the object stands, thin along y.
  const auto occupied = data->objects()[0].occupancy();
  ASSERT_TRUE(occupied.ok() && occupied->has_value());
  const std::vector<uint8_t>& cells = **occupied;
  uint8_t low = 255, high = 0;
  for (size_t i = 1; i < cells.size(); i += 3) low = std::min(low, cells[i]), high = std::max(high, cells[i]);
  EXPECT_LT(high - low, 5);
}

TEST_F(Pipeline, ReusesAPreparedDatasetOfTheSameKind) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}});
  const auto first = run();
  ASSERT_TRUE(first.ok());
  config_.input = path("set.zip");
  config_.output = path("reused.zip");
  const auto reused = run();
  ASSERT_TRUE(reused.ok()) << reused.status();
  EXPECT_TRUE(reused->reused);
  EXPECT_EQ(reused->sha256, first->sha256);
  config_.resolution = 1024;
  EXPECT_THAT(std::string(run().status().message()), HasSubstr("resolution"));
  config_.resolution = 512;
  ASSERT_TRUE(testing::write_tiny_base(path("base"), {.seed = 2}).ok());
  EXPECT_THAT(std::string(run().status().message()), HasSubstr("another sparse-structure encoder"));
}

TEST_F(Pipeline, RefusesInputsWithoutAnythingUsable) {
  zip({{"broken.glb", "glTF"}});
  auto result = run();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("no usable asset in the input; broken.glb: UNREADABLE"));
  zip({{"readme.txt", "x"}});
  EXPECT_EQ(run().status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(write_file_atomic(path("assets.zip"), "not a zip").ok());
  EXPECT_EQ(run().status().code(), absl::StatusCode::kInvalidArgument);
  config_.input = path("absent.zip");
  EXPECT_EQ(run().status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(config_.output));
}

TEST_F(Pipeline, StopsOnRequestAndLeavesNothingBehind) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(run(stop.get_token()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(fs::exists(config_.output));
  for (const auto& entry : fs::directory_iterator(folder_->path()))
    EXPECT_THAT(entry.path().filename().string(), ::testing::Not(::testing::StartsWith(".espalier")));
}

TEST_F(Pipeline, TakesFoldersAndSingleAssets) {
  fs::create_directories(path("in"));
  ASSERT_TRUE(write_file_atomic(path("in/a.glb"), box_glb(1, 1, 0.2f)).ok());
  ASSERT_TRUE(write_file_atomic(path("in/b.glb"), box_glb(1, 0.3f, 0.2f)).ok());
  config_.input = path("in");
  EXPECT_EQ(run()->objects, 2);
  config_.input = path("in/a.glb");
  EXPECT_EQ(run()->objects, 1);
}

TEST(CommandLine, TellsAllFaultsAtOnce) {
  const char* const argv[] = {"espalier-preprocess", "in.zip", "--resolution", "600", "--views", "x", "--frobnicate"};
  CommandLine line;
  const std::string message(parse_command_line(7, argv, line).message());
  for (const char* part : {"resolution: 600", "views: \"x\"", "--frobnicate: unknown", "output: is missing"})
    EXPECT_THAT(message, HasSubstr(part));
}

}  // namespace
}  // namespace espalier::preprocess
