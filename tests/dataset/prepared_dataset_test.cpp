#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "archive/zip_writer.h"
#include "common/files.h"
#include "common/sha256.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "dataset/reader.h"
#include "dataset/writer.h"
#include "tests/dataset/small_set.h"

namespace espalier::dataset {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kGrid;
using testing::png;
using ::testing::SizeIs;
using testing::table_of;

class Prepared : public testing::SmallSet {};

TEST_F(Prepared, ReadsBackObjectsSortedByHash) {
  ObjectRecord& chair = add_object("chair", 0.25f);
  chair.split = "val";
  chair.repeat = 3;
  add_object("table");
  ASSERT_TRUE(write().ok());
  const auto data = PreparedDataset::open(path("set.zip"));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->warnings(), IsEmpty());
  ASSERT_THAT(data->objects(), SizeIs(2));
  EXPECT_LT(data->objects()[0].sha256, data->objects()[1].sha256);
  EXPECT_EQ(data->id(), dataset_id(data->manifest()));
  for (const Object& object : data->objects()) {
    const bool is_chair = object.name == "chair";
    EXPECT_EQ(object.split, is_chair ? "val" : "train");
    EXPECT_EQ(object.repeat, is_chair ? 3 : 1);
    EXPECT_EQ(object.ss_channels, 8);
    EXPECT_EQ(object.ss_grid, kGrid);
    EXPECT_EQ(object.ss_latent()->at(7), is_chair ? 0.25f : 0.5f);
    EXPECT_EQ(object.views(), 3u);
    EXPECT_EQ(*object.view_png(2), png('c'));
    EXPECT_FALSE(object.view_png(3).ok());
    EXPECT_THAT(**object.occupancy(), ElementsAre(0, 1, 2, 15, 15, 15));
  }
}

TEST_F(Prepared, SameContentGivesSameBytes) {
  add_object("chair");
  add_object("table");
  ASSERT_TRUE(write("1.zip").ok());
  std::swap(manifest_.objects[0], manifest_.objects[1]);
  ASSERT_TRUE(write("2.zip").ok());
  EXPECT_EQ(*read_file(path("1.zip")), *read_file(path("2.zip")));
}

TEST_F(Prepared, WritesTheTablesTheReferenceLooksFor) {
  add_object("chair");
  ObjectRecord failed;
  failed.sha256 = sha256_hex("broken");
  failed.path = "broken.glb";
  failed.status = "failed";
  failed.error = {"UNREADABLE", "load", "truncated"};
  manifest_.objects.push_back(failed);
  const fs::path tree = unpacked();
  const CsvTable root = table_of(tree / "metadata.csv");
  ASSERT_THAT(root.rows, SizeIs(2));
  EXPECT_EQ(root.rows[0][*root.column("aesthetic_score")], "10");
  for (const char* table : {"ss_latents/enc_16", "renders_cond", "asset_stats"}) {
    const CsvTable part = table_of(tree / table / "metadata.csv");
    ASSERT_THAT(part.rows, SizeIs(1)) << table;
    EXPECT_EQ(part.rows[0][0], sha256_hex("chair"));
  }
  EXPECT_THAT(*read_file(tree / "ss_latents/enc_16/metadata.csv"), HasSubstr("True"));
  EXPECT_THAT(*read_file(tree / "logs/failures.jsonl"), HasSubstr("UNREADABLE"));
  EXPECT_TRUE(fs::exists(tree / "statistics.txt"));
}

TEST_F(Prepared, OpensFoldersAndZipsWithOneTopFolder) {
  add_object("chair");
  const fs::path tree = unpacked();
  EXPECT_TRUE(PreparedDataset::open(tree).ok());
  archive::ZipWriter zip;
  for (const auto& file : fs::recursive_directory_iterator(tree)) {
    if (!file.is_regular_file()) continue;
    ASSERT_TRUE(zip.add_file("my set/" + file.path().lexically_relative(tree).string(), file.path()).ok());
  }
  ASSERT_TRUE(zip.finish(path("nested.zip")).ok());
  const auto data = PreparedDataset::open(path("nested.zip"));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(data->objects()[0].ss_latent().ok());
}

TEST_F(Prepared, DropsADamagedObjectAndKeepsTheOthers) {
  const std::string chair = add_object("chair").sha256;
  add_object("table");
  const fs::path tree = unpacked();
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"renders_cond/" + chair + "/001.png", png('x')},  // other bytes, same size
      {"renders_cond/" + chair + "/001.png", "short"},   // other size
      {"ss_latents/enc_16/" + chair + ".npz", ""},       // empty
      {"ss_occupancy_16/" + chair + ".npz", std::string("PK\5\6") + std::string(18, '\0')},
  };
  for (const auto& [name, bytes] : damages) {
    const std::string good = *read_file(tree / name);
    ASSERT_TRUE(write_file_atomic(tree / name, bytes).ok());
    const auto data = PreparedDataset::open(tree);
    ASSERT_TRUE(data.ok()) << data.status();
    ASSERT_THAT(data->objects(), SizeIs(1)) << name;
    EXPECT_EQ(data->objects()[0].name, "table");
    ASSERT_THAT(data->warnings(), SizeIs(1));
    EXPECT_THAT(data->warnings()[0], HasSubstr(name));
    ASSERT_TRUE(write_file_atomic(tree / name, good).ok());
  }
  fs::remove(tree / ("renders_cond/" + chair + "/000.png"));
  EXPECT_THAT(PreparedDataset::open(tree)->objects(), SizeIs(1));
}

TEST_F(Prepared, DropsLatentsThatAreNotFiniteOrOfAnotherShape) {
  add_object("chair");
  add_object("nan", NAN);
  ASSERT_TRUE(write().ok());
  const auto data = PreparedDataset::open(path("set.zip"));
  ASSERT_TRUE(data.ok());
  EXPECT_THAT(data->objects(), SizeIs(1));
  EXPECT_THAT(data->warnings()[0], HasSubstr("not finite"));
}

TEST_F(Prepared, RefusesAForgedOrForeignManifest) {
  add_object("chair");
  const fs::path tree = unpacked();
  const std::string good = *read_file(tree / "prepared_dataset.json");
  const std::vector<std::array<std::string, 3>> rows = {
      {"\"repeat\": 1", "\"repeat\": 0", "objects[0].repeat"},
      {"\"split\": \"train\"", "\"split\": \"test\"", "objects[0].split"},
      {"trellis2-prepared-dataset", "other", "format"},
      {"\"min_reader_version\": 1", "\"min_reader_version\": 2", "min_reader_version"},
      {"renders_cond/", "../enders_cond/", "plain relative path"},
      {"\"bytes\": 49", "\"bytes\": 48", "dataset_id"},
      {"\"resolution\": 512", "\"resolution\": \"512\"", "resolution"},
      {"{", "{{", "not valid JSON"},
  };
  for (const auto& [from, to, message] : rows) {
    std::string bad = good;
    const size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, from.size(), to);
    ASSERT_TRUE(write_file_atomic(tree / "prepared_dataset.json", bad).ok());
    const auto data = PreparedDataset::open(tree);
    ASSERT_FALSE(data.ok()) << from;
    EXPECT_THAT(std::string(data.status().message()), HasSubstr(message));
  }
}

TEST_F(Prepared, RefusesPicklesAndSetsWithoutUsableObjects) {
  add_object("nan", NAN);
  const fs::path tree = unpacked();
  EXPECT_EQ(PreparedDataset::open(tree).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(write_file_atomic(tree / "x.pickle", "").ok());
  EXPECT_THAT(std::string(PreparedDataset::open(tree).status().message()), HasSubstr("pickle"));
  EXPECT_EQ(PreparedDataset::open(path("absent.zip")).status().code(), absl::StatusCode::kNotFound);
}

TEST(Detection, TellsRawFromPreparedAndRefusesAMix) {
  const auto kind = [](std::vector<std::string> names) { return detect(names); };
  EXPECT_EQ(kind({"a.glb", "metadata.csv"})->kind, Kind::kRaw);
  EXPECT_EQ(kind({})->kind, Kind::kRaw);
  EXPECT_EQ(kind({"metadata.csv", "prepared_dataset.json"})->kind, Kind::kPrepared);
  EXPECT_EQ(kind({"x/metadata.csv", "x/prepared_dataset.json", "__MACOSX/x/a.glb"})->root, "x/");
  EXPECT_EQ(kind({"x/y/metadata.csv", "x/y/prepared_dataset.json"})->kind, Kind::kRaw);
  const std::vector<std::string> mixed[] = {
      {"metadata.csv", "prepared_dataset.json", "a.glb"},
      {"x/metadata.csv", "x/prepared_dataset.json", "chair.OBJ"},
      {"x/metadata.csv", "x/prepared_dataset.json", "metadata.csv", "prepared_dataset.json"}};
  for (const auto& names : mixed)
    EXPECT_THAT(std::string(kind(names).status().message()), ::testing::StartsWith("MIXED_ARCHIVE"));
}

TEST(Layout, NamesAssetsAndHiddenFiles) {
  for (const char* name : {"a.glb", "b/C.GLTF", "x.obj", "x.Fbx", "x.stl", "x.ply", "x.blend"})
    EXPECT_TRUE(is_asset_name(name));
  for (const char* name : {"a.png", "glb", "a.glb.txt", "a.mtl"}) EXPECT_FALSE(is_asset_name(name));
  for (const char* name : {".a.glb", "x/.git/a.glb", "__MACOSX/a.glb", "Thumbs.db", "x/desktop.ini"})
    EXPECT_TRUE(is_hidden_name(name));
  EXPECT_FALSE(is_hidden_name("x/a.glb"));
  EXPECT_EQ(view_name(7), "007.png");
  EXPECT_EQ(ss_latent_folder("ss_enc_conv3d_16l8_fp16", 64), "ss_latents/ss_enc_conv3d_16l8_fp16_64");
}

}  // namespace
}  // namespace espalier::dataset
