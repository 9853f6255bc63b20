#include "preprocess/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "common/sha256.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Discovery : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& content) {
    const fs::path path = folder_->path() / "in" / name;
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomic(path, content).ok());
  }
  Result<std::vector<Asset>> find() {
    ESP_ASSIGN(const AssetSource source, open_assets(folder_->path() / "in", folder_->path(), {}));
    return discover(source, {});
  }
  Result<TempDir> folder_ = TempDir::create("discovery_test");
};

std::vector<std::string> paths(const std::vector<Asset>& assets) {
  std::vector<std::string> out;
  for (const Asset& asset : assets) out.push_back(asset.path);
  return out;
}

TEST_F(Discovery, SortsAssetsAndSkipsTheRest) {
  for (const char* name : {"b.glb", "a/x.OBJ", "B.ply", ".hidden.glb", "__MACOSX/a.glb", "a/.git/c.glb", "readme.txt"})
    put(name, name);
  put("zero.glb", "");
  const auto assets = find();
  ASSERT_TRUE(assets.ok()) << assets.status();
  EXPECT_THAT(paths(*assets), ElementsAre("B.ply", "a/x.OBJ", "b.glb"));
  EXPECT_EQ((*assets)[2].sha256, sha256_hex("b.glb"));
}

TEST_F(Discovery, MarksLaterCopiesAsDuplicates) {
  put("b.glb", "same");
  put("a.glb", "same");
  const auto assets = find();
  EXPECT_EQ((*assets)[0].duplicate_of, "");
  EXPECT_EQ((*assets)[1].duplicate_of, sha256_hex("same"));
}

TEST_F(Discovery, ChangedCompanionsChangeTheBundleOnly) {
  put("set/a.obj", "obj");
  put("set/tex/wood.png", "1");
  put("b.glb", "glb");
  const auto before = find();
  put("set/tex/wood.png", "2");
  const auto after = find();
  EXPECT_EQ((*before)[1].sha256, (*after)[1].sha256);
  EXPECT_NE((*before)[1].bundle_sha256, (*after)[1].bundle_sha256);
  EXPECT_EQ((*before)[0].bundle_sha256, (*after)[0].bundle_sha256);
  EXPECT_EQ((*before)[0].bundle_sha256, (*before)[0].sha256);
}

TEST_F(Discovery, AppliesTheManifest) {
  put("top/a.glb", "a");
  put("top/b.glb", "b");
  put("top/c.glb", "c");
  put("top/manifest.csv",
      "path,split,repeat,exclude,up_axis,aesthetic_score,name,license,color\n"
      "a.glb,val,3,,-y,6.5,Chair,CC0,red\n./b.glb,,,1,,,,,\n");
  const auto assets = find();
  ASSERT_TRUE(assets.ok()) << assets.status();
  const Asset& a = (*assets)[0];
  EXPECT_EQ(a.split, "val");
  EXPECT_EQ(a.repeat, 3);
  EXPECT_EQ(a.up_axis, "-y");
  EXPECT_EQ(a.aesthetic_score, 6.5);
  EXPECT_EQ(a.name, "Chair");
  EXPECT_THAT(a.extra, ElementsAre(std::pair("color", "red"), std::pair("license", "CC0")));
  EXPECT_TRUE((*assets)[1].excluded);
  EXPECT_EQ((*assets)[2].split, "train");
}

TEST_F(Discovery, TellsAllFaultsOfTheManifestAtOnce) {
  put("a.glb", "a");
  put("manifest.csv",
      "path,split,repeat,exclude,up_axis,aesthetic_score\n"
      "a.glb,test,0,yes,w,high\nmissing.glb,,,,,\na.glb,,,,,\n../a.glb,,,,,\n");
  const auto assets = find();
  ASSERT_EQ(assets.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(assets.status().message());
  for (const char* part :
       {"line 2: split", "line 2: repeat", "line 2: exclude", "line 2: up_axis", "line 2: aesthetic_score",
        "line 3: path: no asset \"missing.glb\"", "named twice", "line 5: path: no asset \"../a.glb\""})
    EXPECT_THAT(message, HasSubstr(part));
  put("manifest.csv", "name\nx\n");
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("\"path\" is missing"));
}

TEST_F(Discovery, NeedsAnAsset) {
  put("readme.txt", "x");
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("no 3D assets"));
}

}  // namespace
}  // namespace espalier::preprocess
