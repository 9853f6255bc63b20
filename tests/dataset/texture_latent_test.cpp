#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/dataset/structured_set.h"

namespace espalier::dataset {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCells;
using testing::latent_npz;
using ::testing::SizeIs;
using testing::table_of;

class TextureLatents : public testing::StructuredSet {
 protected:
  // What is said of the only object's texture, which must not be usable although its shape is.
  std::string refusal(const std::string& shape, const std::string& texture) {
    manifest_.objects.clear();
    add_textured("chair", shape, texture);
    const auto data = opened();
    EXPECT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->objects()[0].texture_tokens, 0);
    EXPECT_EQ(data->objects()[0].texture_latent().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(data->objects()[0].shape_latent().ok());
    EXPECT_THAT(data->warnings(), SizeIs(1));
    return data->warnings().empty() ? "" : data->warnings()[0];
  }
};

TEST_F(TextureLatents, AreReadOnTheCellsOfTheShape) {
  add_textured("chair", latent_npz({0, 1, 2, 7, 7, 7}, 2), latent_npz({0, 1, 2, 7, 7, 7}, 3, 9));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->warnings(), IsEmpty());
  const Object& object = data->objects()[0];
  EXPECT_EQ(object.texture_tokens, 2);
  EXPECT_EQ(object.texture_channels, 3);
  EXPECT_EQ(object.texture_grid, kCells);
  const auto latent = object.texture_latent();
  ASSERT_TRUE(latent.ok()) << latent.status();
  EXPECT_THAT(latent->coords, ElementsAre(0, 1, 2, 7, 7, 7));
  EXPECT_THAT(latent->feats, ElementsAre(0, 1, 2, 3, 4, 9));
  EXPECT_EQ(object.shape_latent()->channels, 2);
}

TEST_F(TextureLatents, OnOtherCellsThanTheShapeAreNotUsed) {
  const std::string shape = latent_npz({0, 1, 2, 7, 7, 7});
  for (const std::vector<uint8_t>& cells : {std::vector<uint8_t>{7, 7, 7, 0, 1, 2}, {0, 1, 2}, {0, 1, 2, 7, 7, 6}}) {
    EXPECT_THAT(refusal(shape, latent_npz(cells)),
                HasSubstr("not usable for texture: COORD_MISMATCH: pbr_latents/tex_enc_512/"));
  }
  EXPECT_THAT(refusal(shape, latent_npz({0, 1, 2, 7, 7, 8})), HasSubstr("outside the grid"));
  EXPECT_THAT(refusal(shape, latent_npz({0, 1, 2, 7, 7, 7}, 2, INFINITY)), HasSubstr("not finite"));
}

TEST_F(TextureLatents, WithoutAUsableShapeAreNotUsed) {
  const std::string good = latent_npz({0, 0, 0, 0, 0, 1});
  add_textured("chair", latent_npz({0, 0, 0, 0, 0, 0}), good);
  add_textured("table", good, good).stages["geometry"] = "too_many_tokens";
  ObjectRecord& lamp = add_textured("lamp", good, good);
  lamp.stages.erase("sparse_structure");
  lamp.stages.erase("geometry");
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->objects(), SizeIs(2)) << "nothing of the lamp is usable";
  for (const Object& object : data->objects()) {
    EXPECT_EQ(object.texture_tokens, 0);
    EXPECT_TRUE(object.ss_latent().ok());
  }
  for (const std::string& warning : data->warnings()) {
    if (warning.find("geometry") == std::string::npos) {
      EXPECT_THAT(warning, HasSubstr("not usable for texture: it has no usable shape latent"));
    }
  }
}

TEST_F(TextureLatents, GoWithAShapeOfOtherChannelsThanTheFirst) {
  add_textured("a", latent_npz({1, 2, 3}, 2), latent_npz({1, 2, 3}, 4));
  add_textured("b", latent_npz({1, 2, 3}, 3), latent_npz({1, 2, 3}, 4));
  const auto data = opened();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->objects()[0].texture_tokens + data->objects()[1].texture_tokens, 1);
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("not usable for geometry: its latent has another shape"),
                                            HasSubstr("not usable for texture: it has no usable shape latent")));
}

TEST_F(TextureLatents, HaveTheTablesTheReferenceFiltersBy) {
  ObjectRecord& chair = add_textured("chair", latent_npz({0, 0, 0, 0, 0, 1}), latent_npz({0, 0, 0, 0, 0, 1}));
  chair.faces = 12;
  chair.vertices = 8;
  chair.textures = {{"basecolor", 2}, {"roughness", 1}};
  const std::string sha256 = chair.sha256;
  add_shaped("bare", latent_npz({0, 0, 0})).stages["texture"] = "no_material";
  EXPECT_EQ(to_json(*parse_manifest(to_json(manifest_))), to_json(manifest_));
  const fs::path tree = unpacked();
  const CsvTable table = table_of(tree / "pbr_latents/tex_enc_512/metadata.csv");
  EXPECT_THAT(table.columns, ElementsAre("sha256", "pbr_latent_encoded", "pbr_latent_tokens"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre(sha256, "True", "2")));
  const CsvTable stats = table_of(tree / "asset_stats/metadata.csv");
  EXPECT_THAT(stats.columns, ElementsAre("sha256", "num_faces", "num_vertices", "num_basecolor_tex", "num_metallic_tex",
                                         "num_roughness_tex", "num_alpha_tex"));
  EXPECT_THAT(stats.rows, ::testing::Contains(ElementsAre(sha256, "12", "8", "2", "0", "1", "0")));
}

}  // namespace
}  // namespace espalier::dataset
