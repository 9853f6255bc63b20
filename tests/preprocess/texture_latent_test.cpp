#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/sha256.h"
#include "dataset/csv.h"
#include "dataset/file_source.h"
#include "dataset/reader.h"
#include "mesh/normalize.h"
#include "mesh/writers.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"
#include "nn/networks/voxel_channels.h"
#include "ovoxel/pbr_voxels.h"
#include "tests/preprocess/boxes.h"
#include "tests/preprocess/preparation.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using testing::box;
using testing::box_glb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A box of two materials: one with a picture, one of rough-polished metal.
mesh::Scene painted_box() {
  mesh::Scene scene = box(1, 0.6f, 0.3f);
  mesh::Mesh& mesh = scene.meshes[0];
  for (const mesh::Vec3& p : mesh.positions) mesh.uvs.push_back({p[0] * 0.7f + p[2], p[1] + p[2] * 0.5f});
  for (size_t f = 6; f < mesh.material_ids.size(); ++f) mesh.material_ids[f] = 1;
  image::Image picture{8, 8, 3, {}};
  for (int i = 0; i < 8 * 8 * 3; ++i) picture.pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
  scene.images.push_back(picture);
  scene.materials[0].base_color = {1, 1, 1};
  scene.materials[0].base_color_texture = mesh::Texture{.image = 0};
  mesh::Material metal;
  metal.base_color = {0.1f, 0.7f, 0.3f};
  metal.metallic = 1;
  metal.roughness = 0.25f;
  scene.materials.push_back(metal);
  return scene;
}

// What the base's encoder makes of the scene's materials, step by step.
nn::SparseTensor texture_latent_by_hand(mesh::Scene scene, const fs::path& folder, int resolution) {
  EXPECT_TRUE(mesh::normalize(scene).ok());
  const auto voxels = ovoxel::pbr_voxels(scene, resolution);
  EXPECT_TRUE(voxels.ok()) << voxels.status();
  const auto rows = static_cast<int64_t>(voxels->voxels.size());
  at::Tensor coords = at::zeros({rows, 4}, at::kInt), bytes = at::zeros({rows, 6}, at::kByte);
  for (int64_t i = 0; i < rows; ++i) {
    int channel = 0;
    for (const char* name : {"base_color", "metallic", "roughness", "alpha"}) {
      const ovoxel::VoxelAttribute& attribute = *voxels->attribute(name);
      for (size_t c = 0; c < attribute.channels; ++c)
        bytes[i][channel++] = attribute.values[static_cast<size_t>(i) * attribute.channels + c];
    }
    for (int a = 0; a < 3; ++a) coords[i][1 + a] = voxels->voxels[static_cast<size_t>(i)][static_cast<size_t>(a)];
  }
  const auto base = nn::BaseModel::open(folder);
  const auto encoder = nn::load_sc_encoder(*base, "tex_slat_encoder");
  const at::NoGradGuard no_grad;
  return (*encoder)->forward(*nn::SparseTensor::create(nn::attribute_channels(bytes), coords, 1)).mean;
}

class TextureLatents : public testing::PreparationTest {
 protected:
  dataset::PreparedDataset opened() {
    auto data = dataset::PreparedDataset::open(config_.output);
    EXPECT_TRUE(data.ok()) << data.status();
    return *std::move(data);
  }

  // The only object of a run over one asset.
  dataset::Object prepared(const std::string& name, const std::string& bytes) {
    zip({{name, bytes}});
    const auto result = run();
    EXPECT_TRUE(result.ok()) << result.status();
    return opened().objects().at(0);
  }

  std::string stage_of(const std::string& path) {
    const auto data = opened();
    for (const auto& record : data.manifest().objects) {
      if (record.path == path) return record.stages.at("texture");
    }
    return "no such object";
  }
};

TEST_F(TextureLatents, AreTheEncodersMeanOfTheMaterialsOnTheCellsOfTheShape) {
  const mesh::Scene scene = painted_box();
  const dataset::Object object = prepared("a.glb", *mesh::write_glb(scene));
  const nn::SparseTensor expected = texture_latent_by_hand(scene, path("base"), 128);
  const auto latent = object.texture_latent(), shape = object.shape_latent();
  ASSERT_TRUE(latent.ok() && shape.ok()) << latent.status() << shape.status();
  EXPECT_EQ(object.texture_grid, 8);
  EXPECT_GT(object.texture_tokens, 10);
  EXPECT_EQ(object.texture_tokens, object.shape_tokens);
  EXPECT_EQ(latent->coords, shape->coords);
  const at::Tensor coords = torch::tensor(std::vector<int>(latent->coords.begin(), latent->coords.end()), at::kInt);
  EXPECT_TRUE(at::equal(coords.view({-1, 3}), expected.coords.narrow(1, 1, 3)));
  EXPECT_TRUE(at::equal(torch::tensor(latent->feats).view_as(expected.feats), expected.feats));
  EXPECT_GT(expected.feats.std().item<float>(), 0);
  EXPECT_NE(latent->feats, shape->feats);
}

TEST_F(TextureLatents, AreDescribedBesideTheOthers) {
  zip({{"painted.glb", *mesh::write_glb(painted_box())}, {"plain.glb", box_glb(0.2f, 0.2f, 1)}});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->stages, ElementsAre("geometry", "sparse_structure", "texture"));
  EXPECT_THAT(warnings_, IsEmpty());
  const auto data = opened();
  const dataset::Manifest& manifest = data.manifest();
  EXPECT_EQ(manifest.folders.at("pbr_latent"), "pbr_latents/tex_enc_tiny_512");
  EXPECT_EQ(manifest.encoders.at("pbr").sha256, *sha256_hex_of_file(path("base/ckpts/tex_enc_tiny.safetensors")));
  const auto& stage = manifest.stages.at("texture");
  EXPECT_TRUE(stage.ready);
  EXPECT_EQ(stage.objects, 2);
  EXPECT_EQ(stage.max_tokens, 8192);
  EXPECT_EQ(stage.tokens->sum, manifest.stages.at("geometry").tokens->sum);
  const auto source = *dataset::open_source(config_.output);
  const auto stats = *dataset::parse_csv(*source->read("asset_stats/metadata.csv", 4096));
  EXPECT_THAT(stats.columns, ElementsAre("sha256", "num_faces", "num_vertices", "num_basecolor_tex", "num_metallic_tex",
                                         "num_roughness_tex", "num_alpha_tex"));
  int with_picture = 0;
  for (const auto& row : stats.rows) with_picture += row[3] == "1";
  EXPECT_EQ(with_picture, 1);
  const auto table = *dataset::parse_csv(*source->read("pbr_latents/tex_enc_tiny_512/metadata.csv", 4096));
  EXPECT_THAT(table.columns, ElementsAre("sha256", "pbr_latent_encoded", "pbr_latent_tokens"));
  EXPECT_EQ(table.rows.size(), 2u);
}

TEST_F(TextureLatents, NeedAMaterialOrVertexColours) {
  const std::string colored =
      "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
      "property uchar red\nproperty uchar green\nproperty uchar blue\nelement face 4\n"
      "property list uchar int vertex_indices\nend_header\n0 0 0 255 0 0\n1 0 0 0 255 0\n0 1 0 0 0 255\n0 0 1 9 9 9\n"
      "3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n";
  zip({{"bare.stl", *mesh::write_stl(box(1, 1, 0.2f))}, {"coloured.ply", colored}});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(event_of("bare.stl").status, "ok");
  EXPECT_EQ(stage_of("bare.stl"), "no_material");
  EXPECT_EQ(stage_of("coloured.ply"), "ok");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("1 of 2 assets have neither materials nor vertex colours")));
  const auto data = opened();
  EXPECT_THAT(data.warnings(), IsEmpty());
  for (const dataset::Object& object : data.objects()) {
    EXPECT_GT(object.shape_tokens, 0);
    EXPECT_EQ(object.texture_latent().ok(), object.sha256 == sha256_hex(colored));
  }
  EXPECT_EQ(data.manifest().stages.at("texture").objects, 1);
}

TEST_F(TextureLatents, AreMadeOfGreyWithoutAMaterialOnRequest) {
  config_.work_dir = path("work");
  const std::string bare = *mesh::write_stl(box(1, 1, 0.2f));
  EXPECT_EQ(prepared("bare.stl", bare).texture_tokens, 0);
  EXPECT_FALSE(opened().manifest().stages.at("texture").ready);
  EXPECT_EQ(opened().manifest().stages.at("texture").reason, "no_material");
  config_.texture_from_default_material = true;
  const dataset::Object object = prepared("bare.stl", bare);
  mesh::Scene grey = box(1, 1, 0.2f);
  grey.materials = {mesh::default_material()};
  const auto latent = object.texture_latent();
  ASSERT_TRUE(latent.ok()) << latent.status();
  const nn::SparseTensor expected = texture_latent_by_hand(grey, path("base"), 128);
  EXPECT_TRUE(at::equal(torch::tensor(latent->feats).view_as(expected.feats), expected.feats));
}

TEST_F(TextureLatents, AreMissingWithoutAnEncoderForThemOrForTheShape) {
  const std::string glb = box_glb(1, 1, 0.2f);
  ASSERT_TRUE(testing::write_tiny_base(path("plain"), {.texture_encoder = false}).ok());
  ASSERT_TRUE(testing::write_tiny_base(path("shapeless"), {.shape_encoder = false}).ok());
  config_.keep_voxels = true;  // of what there is
  for (const auto& [base, reason] : {std::pair{"plain", "no_texture_encoder"}, {"shapeless", "no_shape_encoder"}}) {
    config_.base = path(base);
    EXPECT_EQ(prepared("a.glb", glb).texture_tokens, 0);
    EXPECT_EQ(opened().manifest().stages.at("texture").reason, reason);
    EXPECT_FALSE(opened().manifest().folders.contains("pbr_latent"));
    EXPECT_FALSE(opened().manifest().folders.contains("pbr_voxels"));
  }
}

TEST_F(TextureLatents, AreReusedWithTheirDatasetByTheSameEncoderOnly) {
  zip({{"a.glb", *mesh::write_glb(painted_box())}});
  config_.work_dir = path("work");
  ASSERT_TRUE(run().ok());
  config_.input = path("set.zip");
  config_.output = path("reused.zip");
  const auto reused = run();
  ASSERT_TRUE(reused.ok()) << reused.status();
  EXPECT_TRUE(reused->reused);
  EXPECT_THAT(reused->stages, ElementsAre("sparse_structure", "geometry", "texture"));
  ASSERT_TRUE(testing::write_tiny_base(path("base"), {.texture_seed = 7}).ok());
  EXPECT_THAT(std::string(run().status().message()), HasSubstr("another texture encoder"));
  config_.input = path("assets.zip");
  config_.importer.program = "/nonexistent";  // an object of the work folder would need no import
  EXPECT_EQ(run().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(TextureLatents, ComeWithTheirVoxelsOnRequest) {
  config_.keep_voxels = true;
  const dataset::Object object = prepared("a.glb", *mesh::write_glb(painted_box()));
  const auto source = *dataset::open_source(config_.output);
  const auto voxels = [&](const std::string& folder) {
    auto table = ovoxel::decode_vxz(*source->read(folder + "/" + object.sha256 + ".vxz", 1 << 24));
    EXPECT_TRUE(table.ok()) << folder << table.status();
    return *std::move(table);
  };
  const ovoxel::VoxelTable grid = voxels("dual_grid_128"), materials = voxels("pbr_voxels_128");
  EXPECT_EQ(grid.voxels, materials.voxels);
  EXPECT_NE(grid.attribute("intersected"), nullptr);
  EXPECT_NE(materials.attribute("roughness"), nullptr);
  const auto table = *dataset::parse_csv(*source->read("pbr_voxels_128/metadata.csv", 4096));
  EXPECT_THAT(table.columns, ElementsAre("sha256", "pbr_voxelized", "num_pbr_voxels"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre(object.sha256, "True", std::to_string(materials.voxels.size()))));
}

TEST_F(TextureLatents, ThatAreNotFiniteCostOnlyTheTexture) {
  const fs::path weights = path("base/ckpts/tex_enc_tiny.safetensors");
  auto tensors = *(*nn::SafetensorsFile::open(weights)).tensors();
  for (auto& [name, tensor] : tensors) tensor = at::full_like(tensor, NAN);
  ASSERT_TRUE(nn::write_safetensors(weights, tensors).ok());
  const dataset::Object object = prepared("a.glb", box_glb(1, 1, 0.2f));
  EXPECT_EQ(event_of("a.glb").status, "partial");
  EXPECT_EQ(event_of("a.glb").code, "ENCODE_NONFINITE");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("not usable for texture")));
  EXPECT_EQ(stage_of("a.glb"), "encode_nonfinite");
  EXPECT_EQ(object.texture_tokens, 0);
  EXPECT_TRUE(object.shape_latent().ok());
}

}  // namespace
}  // namespace espalier::preprocess
