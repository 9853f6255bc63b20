#include "preprocess/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "archive/zip_writer.h"
#include "common/events.h"
#include "common/files.h"
#include "preprocess/command_line.h"
#include "preprocess/part.h"
#include "tests/preprocess/boxes.h"
#include "tests/preprocess/tiny_base.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::box_glb;
using ::testing::HasSubstr;

class Merge : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(testing::write_tiny_base(path("base")).ok());
    // In order: good, broken, good, copy of the first, copy of the broken one, excluded, good.
    zip("assets.zip", {{"a.glb", box_glb(1, 1, 0.2f)},
                       {"b.glb", box_glb(1, 1, 1).substr(0, 200)},
                       {"c/c.glb", box_glb(0.2f, 0.2f, 1)},
                       {"d.glb", box_glb(1, 1, 0.2f)},
                       {"e.glb", box_glb(1, 1, 1).substr(0, 200)},
                       {"f.glb", box_glb(1, 0.1f, 1)},
                       {"g.glb", box_glb(0.5f, 1, 0.3f)},
                       {"manifest.csv", "path,exclude,name,license\nf.glb,1,,\na.glb,0,flat \xc3\xa9,CC0\n"}});
  }

  fs::path path(const std::string& name) const { return folder_->path() / name; }

  void zip(const std::string& name, const std::map<std::string, std::string>& files) {
    archive::ZipWriter writer;
    for (const auto& [entry, bytes] : files) ASSERT_TRUE(writer.add_bytes(entry, bytes).ok());
    ASSERT_TRUE(writer.finish(path(name)).ok());
  }

  PreprocessConfig config(const std::string& output, int shard = 0, int shards = 1) const {
    PreprocessConfig config;
    config.input = path("assets.zip");
    config.output = path(output);
    config.base = path("base");
    config.views = 1;
    config.render_resolution = 64;
    config.render_samples = 1;
    config.threads = 2;
    config.shard = shard;
    config.shards = shards;
    return config;
  }

  // Files of all shards, by shard.
  std::vector<fs::path> parts(int shards) {
    std::vector<fs::path> files;
    for (int shard = 0; shard < shards; ++shard) {
      const auto made = preprocess(config(absl::StrCat("part-", shard, "-", shards, ".zip"), shard, shards), {});
      EXPECT_TRUE(made.ok()) << made.status();
      if (made.ok()) files.push_back(made->path);
    }
    return files;
  }

  Status refusal(const std::vector<fs::path>& files) { return merge_parts(files, path("merged.zip"), {}).status(); }

  Result<TempDir> folder_ = TempDir::create("merge_test");
};

TEST_F(Merge, GivesTheBytesOfOneWholeRun) {
  const auto whole = preprocess(config("whole.zip"), {});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->objects, 3);
  EXPECT_EQ(whole->duplicates, 2);
  for (const int shards : {2, 3, 5}) {
    SCOPED_TRACE(shards);
    std::vector<fs::path> files = parts(shards);
    std::reverse(files.begin(), files.end());
    int64_t announced = 0;
    PreprocessObserver observer;
    observer.started = [&](int64_t total) { announced = total; };
    const auto merged = merge_parts(files, path("merged.zip"), {}, observer);
    ASSERT_TRUE(merged.ok()) << merged.status();
    EXPECT_EQ(announced, 7);
    EXPECT_EQ(merged->sha256, whole->sha256);
    EXPECT_EQ(merged->dataset_id, whole->dataset_id);
    EXPECT_EQ(merged->resolution, 512);
    EXPECT_EQ(merged->objects, whole->objects);
    EXPECT_EQ(merged->failed, whole->failed);
    EXPECT_EQ(merged->duplicates, whole->duplicates);
  }
}

TEST_F(Merge, MoreShardsThanAssetsLeaveEmptyParts) {
  zip("assets.zip", {{"a.glb", box_glb(1, 1, 0.2f)}, {"b.glb", "glTF"}});
  const auto whole = preprocess(config("whole.zip"), {});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(merge_parts(parts(3), path("merged.zip"), {})->sha256, whole->sha256);
}

TEST_F(Merge, PassesAPreparedDatasetOnUnchanged) {
  ASSERT_TRUE(preprocess(config("prepared.zip"), {}).ok());
  fs::rename(path("prepared.zip"), path("assets.zip"));
  const auto whole = preprocess(config("whole.zip"), {});
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto merged = merge_parts(parts(2), path("merged.zip"), {});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_TRUE(merged->reused);
  EXPECT_EQ(merged->sha256, whole->sha256);
  EXPECT_EQ(merged->dataset_id, whole->dataset_id);
}

TEST_F(Merge, NamesThePartThatIsMissingRepeatedOrForeign) {
  const std::vector<fs::path> good = parts(3);
  EXPECT_THAT(std::string(refusal({good[0], good[2]}).message()), HasSubstr("shard 1 of 3 is missing"));
  EXPECT_THAT(std::string(refusal({good[0], good[1], good[2], good[1]}).message()),
              AllOf(HasSubstr("part-1-3.zip"), HasSubstr("shard 1 again")));
  EXPECT_THAT(std::string(refusal({good[0], parts(2)[1], good[2]}).message()),
              AllOf(HasSubstr("part-1-2.zip"), HasSubstr("one of 2 shards, not of 3")));
  EXPECT_THAT(std::string(refusal({}).message()), HasSubstr("no part"));

  PreprocessConfig other = config("other-seed.zip", 1, 3);
  other.seed = 5;
  ASSERT_TRUE(preprocess(other, {}).ok());
  EXPECT_THAT(std::string(refusal({good[0], path("other-seed.zip"), good[2]}).message()),
              AllOf(HasSubstr("other-seed.zip"), HasSubstr("other settings")));
  zip("assets.zip", {{"z.glb", box_glb(1, 1, 0.2f)}});
  ASSERT_TRUE(preprocess(config("other-input.zip", 1, 3), {}).ok());
  EXPECT_THAT(std::string(refusal({good[0], path("other-input.zip"), good[2]}).message()),
              AllOf(HasSubstr("other-input.zip"), HasSubstr("another input")));
  EXPECT_FALSE(fs::exists(path("merged.zip")));
}

TEST_F(Merge, RefusesADamagedPart) {
  const std::vector<fs::path> good = parts(2);
  EXPECT_THAT(std::string(refusal({good[0], path("assets.zip")}).message()),
              AllOf(HasSubstr("assets.zip"), HasSubstr("not a part")));

  // The part again, with a file that nobody listed, and with a changed one.
  const auto repack = [&](const std::string& name, const std::string& entry) {
    dataset::FilesOnDisk files;
    const auto part = unpack_part(good[0], path(name + "-content"), {}, files);
    ASSERT_TRUE(part.ok()) << part.status();
    ASSERT_TRUE(write_file_atomic(path("bytes"), "x").ok());
    archive::ZipWriter writer;
    files[entry.empty() ? files.begin()->first : entry] = path("bytes");
    files["part.json"] = path(name + "-content") / "part.json";
    for (const auto& [file, source] : files) ASSERT_TRUE(writer.add_file(file, source).ok());
    ASSERT_TRUE(writer.finish(path(name)).ok());
  };
  repack("extra.zip", "extra.png");
  EXPECT_THAT(std::string(refusal({path("extra.zip"), good[1]}).message()), HasSubstr("extra.png: is not listed"));
  repack("changed.zip", "");
  EXPECT_THAT(std::string(refusal({path("changed.zip"), good[1]}).message()), HasSubstr("was changed"));
}

TEST_F(Merge, NothingUsableInAnyPartIsTheInputsFault) {
  zip("assets.zip", {{"a.glb", "glTF"}, {"b.glb", "glTF2"}});
  const Status whole = preprocess(config("whole.zip"), {}).status();
  const Status merged = refusal(parts(2));
  EXPECT_EQ(merged.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(merged.message(), whole.message());
}

TEST(ShardOption, IsCheckedAndExcludedFromAMerge) {
  const auto message = [](std::vector<const char*> argv) {
    CommandLine line;
    return std::string(parse_command_line(static_cast<int>(argv.size()), argv.data(), line).message());
  };
  EXPECT_THAT(message({"p", "in.zip", "-o", "x", "--base", "b", "--shard", "3/3"}),
              HasSubstr("shard: 3 is not in 0 .. 2"));
  EXPECT_THAT(message({"p", "in.zip", "-o", "x", "--base", "b", "--shard", "1"}), HasSubstr("is not I/N"));
  EXPECT_THAT(message({"p", "-o", "x", "--merge", "a", "b", "--views", "3"}), HasSubstr("--views: has no meaning"));
  EXPECT_THAT(message({"p", "--merge", "a", "b"}), HasSubstr("output: is missing"));
  CommandLine line;
  const char* const good[] = {"p", "--merge", "a.zip", "b.zip", "-o", "out.zip", "--progress-fd", "3"};
  ASSERT_TRUE(parse_command_line(8, good, line).ok());
  EXPECT_EQ(line.merge, (std::vector<fs::path>{"a.zip", "b.zip"}));
  EXPECT_EQ(line.config.output, "out.zip");
}

}  // namespace
}  // namespace espalier::preprocess
