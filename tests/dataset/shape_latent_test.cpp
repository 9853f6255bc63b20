#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/sha256.h"
#include "dataset/latent_files.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "dataset/reader.h"
#include "tests/dataset/structured_set.h"

namespace espalier::dataset {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCells;
using testing::latent_npz;
using ::testing::SizeIs;
using testing::table_of;

class ShapeLatents : public testing::StructuredSet {};

TEST_F(ShapeLatents, AreReadAsTheyWereWritten) {
  add_shaped("chair", latent_npz({0, 1, 2, 7, 7, 7}));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->warnings(), IsEmpty());
  const Object& object = data->objects()[0];
  EXPECT_EQ(object.shape_tokens, 2);
  EXPECT_EQ(object.shape_channels, 2);
  EXPECT_EQ(object.shape_grid, kCells);
  EXPECT_EQ(object.ss_channels, 8);
  const auto latent = object.shape_latent();
  ASSERT_TRUE(latent.ok()) << latent.status();
  EXPECT_THAT(latent->coords, ElementsAre(0, 1, 2, 7, 7, 7));
  EXPECT_THAT(latent->feats, ElementsAre(0, 1, 2, 0.5f));
  EXPECT_EQ(latent->channels, 2);
}

TEST_F(ShapeLatents, ABadOneCostsOnlyTheGeometryOfItsObject) {
  ObjectRecord& chair = add_shaped("chair", latent_npz({0, 0, 0, 0, 0, 0}));
  const std::string bad = shape_path(chair);
  add_shaped("table", latent_npz({0, 0, 0, 0, 0, 1}));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->objects(), SizeIs(2));
  for (const Object& object : data->objects()) {
    EXPECT_TRUE(object.ss_latent().ok());
    EXPECT_EQ(object.shape_tokens, object.name == "table" ? 2 : 0);
    EXPECT_EQ(object.shape_latent().status().code(),
              object.name == "table" ? absl::StatusCode::kOk : absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_THAT(data->warnings(), ElementsAre(AllOf(HasSubstr("not usable for geometry"), HasSubstr(bad))));
}

TEST_F(ShapeLatents, AloneMakeAnObjectUsable) {
  manifest_.folders.erase("ss_latent");
  ObjectRecord& chair = add_shaped("chair", latent_npz({1, 2, 3}));
  chair.stages.erase("sparse_structure");
  ObjectRecord& table = add_shaped("table", latent_npz({1, 2, 3}));  // its structure is promised, but not there
  table.status = "partial";
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->objects(), SizeIs(2));
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("not usable for sparse_structure")));
  for (const Object& object : data->objects()) {
    EXPECT_EQ(object.ss_channels, 0);
    EXPECT_EQ(object.ss_latent().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(object.shape_tokens, 1);
  }
}

TEST_F(ShapeLatents, OfOtherChannelsThanTheFirstAreNotUsed) {
  add_shaped("a", latent_npz({1, 2, 3}, 2));
  add_shaped("b", latent_npz({1, 2, 3}, 3));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->objects(), SizeIs(2));
  EXPECT_EQ(data->objects()[0].shape_tokens + data->objects()[1].shape_tokens, 1);
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("another shape")));
}

TEST_F(ShapeLatents, NeedAResolutionThatDividesIntoCells) {
  manifest_.grid_scale = 0.01;
  add_shaped("chair", latent_npz({0, 0, 0}));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->objects()[0].shape_tokens, 0);
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("give no grid of structured latents")));
}

TEST_F(ShapeLatents, HaveTheTableTheReferenceFiltersBy) {
  add_shaped("chair", latent_npz({0, 0, 0, 0, 0, 1}));
  ObjectRecord& dense = add_object("dense");
  dense.status = "partial";
  dense.stages["geometry"] = "too_many_tokens";
  dense.tokens["shape"] = 9000;
  const fs::path tree = unpacked();
  const CsvTable table = table_of(tree / manifest_.folders["shape_latent"] / "metadata.csv");
  EXPECT_THAT(table.columns, ElementsAre("sha256", "shape_latent_encoded", "shape_latent_tokens"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre(sha256_hex("chair"), "True", "2")));
  EXPECT_THAT(table_of(tree / "renders_cond/metadata.csv").rows, SizeIs(2));
}

TEST_F(ShapeLatents, AreDescribedInTheManifest) {
  manifest_.encoders["shape"] = {"shape_enc", sha256_hex("weights"), "fp32"};
  manifest_.voxelizer = VoxelizerRecord{"1.2.3"};
  manifest_.normalization["shape"] = {{0.5, -1}, {2, 3}};
  add_shaped("chair", latent_npz({0, 0, 0, 0, 0, 1}));
  const std::string text = to_json(manifest_);
  const auto read = parse_manifest(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(to_json(*read), text);
  EXPECT_EQ(read->stages.at("geometry").tokens->sum, 4);
  EXPECT_EQ(read->stages.at("geometry").max_tokens, 8192);
  EXPECT_EQ(read->voxelizer->boundary_weight, 0.2);
  EXPECT_THAT(read->normalization.at("shape").std, ElementsAre(2, 3));
  EXPECT_EQ(token_count(read->objects[0], "shape"), 2);
}

TEST(ShapeLatentFile, IsRefusedUnlessItIsExactlyThat) {
  const std::vector<uint8_t> coords = {0, 0, 0, 7, 7, 7};
  const std::vector<float> feats = {1, 2, 3, 4};
  const Array good_coords = make_array(std::span(coords), {2, 3}), good_feats = make_array(std::span(feats), {2, 2});
  const auto refusal = [](const std::map<std::string, Array>& arrays, int64_t max_tokens = 10) {
    return std::string(parse_structured_latent(*write_npz(arrays), kCells, max_tokens).status().message());
  };
  EXPECT_EQ(refusal({{"coords", good_coords}, {"feats", good_feats}}), "");
  EXPECT_THAT(refusal({{"feats", good_feats}}), HasSubstr("no array \"coords\""));
  EXPECT_THAT(refusal({{"coords", good_coords}}), HasSubstr("no array \"feats\""));
  EXPECT_THAT(refusal({{"coords", good_coords}, {"feats", good_feats}}, 1), HasSubstr("has 2 cells; 1 to 1"));
  EXPECT_THAT(refusal({{"coords", make_array(std::span(coords), {3, 2})}, {"feats", good_feats}}),
              HasSubstr("coords is not uint8"));
  EXPECT_THAT(refusal({{"coords", good_feats}, {"feats", good_feats}}), HasSubstr("coords is not uint8"));
  EXPECT_THAT(refusal({{"coords", good_coords}, {"feats", make_array(std::span(feats), {4})}}),
              HasSubstr("feats is not float32"));
  EXPECT_THAT(refusal({{"coords", good_coords}, {"feats", make_array(std::span(feats), {4, 1})}}),
              HasSubstr("feats has 4 rows, coords 2"));
  EXPECT_THAT(refusal({{"coords", good_coords}, {"feats", make_array(std::span(feats), {2, 0})}}), HasSubstr("feats"));
  const std::vector<uint8_t> outside = {0, 0, 0, 0, 8, 0}, none;
  EXPECT_THAT(refusal({{"coords", make_array(std::span(outside), {2, 3})}, {"feats", good_feats}}),
              HasSubstr("outside the grid"));
  EXPECT_THAT(refusal({{"coords", make_array(std::span(none), {0, 3})},
                       {"feats", make_array(std::span<const float>(), {0, 2})}}),
              HasSubstr("has 0 cells"));
  for (const float bad : {NAN, std::numeric_limits<float>::infinity()}) {
    const std::vector<float> values = {1, 2, bad, 4};
    EXPECT_THAT(refusal({{"coords", good_coords}, {"feats", make_array(std::span(values), {2, 2})}}),
                HasSubstr("not finite"));
  }
  EXPECT_FALSE(parse_structured_latent("not a zip", kCells, 10).ok());
}

TEST(ShapeGrid, IsASixteenthOfTheTiersVoxels) {
  const auto side = [](int resolution, double scale) {
    Manifest manifest;
    manifest.resolution = resolution;
    manifest.grid_scale = scale;
    return latent_grid(manifest);
  };
  EXPECT_EQ(side(512, 1), 32);
  EXPECT_EQ(side(1024, 1), 64);
  EXPECT_EQ(side(1024, 0.25), 16);
  EXPECT_EQ(side(512, 0.01), 0);
  EXPECT_EQ(side(65536, 1), 0);
  EXPECT_EQ(shape_latent_folder("shape_enc_next_dc_f16c32_fp16", 512),
            "shape_latents/shape_enc_next_dc_f16c32_fp16_512");
}

}  // namespace
}  // namespace espalier::dataset
