#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dataset/reader.h"
#include "mesh/normalize.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"
#include "nn/networks/voxel_channels.h"
#include "ovoxel/dual_grid.h"
#include "preprocess/encoders.h"
#include "tests/preprocess/boxes.h"
#include "tests/preprocess/preparation.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::box;
using testing::box_glb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ShapeLatents : public testing::PreparationTest {
 protected:
  dataset::PreparedDataset opened() {
    auto data = dataset::PreparedDataset::open(config_.output);
    EXPECT_TRUE(data.ok()) << data.status();
    return *std::move(data);
  }

  // The only object of a run over one asset.
  dataset::Object prepared(const mesh::Scene& scene) {
    zip({{"a.glb", *mesh::write_glb(scene)}});
    const auto result = run();
    EXPECT_TRUE(result.ok()) << result.status();
    return opened().objects().at(0);
  }
};

mesh::Scene scene_of(std::vector<mesh::Vec3> positions, std::vector<mesh::Triangle> triangles) {
  mesh::Scene scene;
  mesh::Mesh mesh;
  mesh.positions = std::move(positions);
  mesh.triangles = std::move(triangles);
  mesh.material_ids.assign(mesh.triangles.size(), -1);
  scene.meshes.push_back(std::move(mesh));
  return scene;
}

// Boxes of side `side` at the points of a grid of `count` per axis.
mesh::Scene many_boxes(int count, float side) {
  const mesh::Mesh one = box(side, side, side).meshes[0];
  std::vector<mesh::Vec3> positions;
  std::vector<mesh::Triangle> triangles;
  for (int i = 0; i < count * count * count; ++i) {
    const auto base = static_cast<uint32_t>(positions.size());
    const std::array<int, 3> place = {i / count / count, i / count % count, i % count};
    for (mesh::Vec3 p : one.positions) {
      for (size_t a = 0; a < 3; ++a) p[a] += static_cast<float>(place[a]) / static_cast<float>(count);
      positions.push_back(p);
    }
    for (const mesh::Triangle& t : one.triangles) triangles.push_back({t[0] + base, t[1] + base, t[2] + base});
  }
  return scene_of(std::move(positions), std::move(triangles));
}

// What the base's encoder makes of the scene's dual grid, step by step.
nn::SparseTensor shape_latent_by_hand(mesh::Scene scene, const fs::path& folder, int resolution) {
  EXPECT_TRUE(mesh::normalize(scene).ok());
  const mesh::Surface surface = ovoxel::welded(scene);
  const auto grid = ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(resolution));
  const auto rows = static_cast<int64_t>(grid->voxels.size());
  at::Tensor vertices = at::zeros({rows, 3}, at::kByte), flags = at::zeros({rows}, at::kByte);
  at::Tensor coords = at::zeros({rows, 4}, at::kInt);
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<size_t>(i);
    const auto packed = ovoxel::packed_vertex(grid->dual_vertices[k], grid->voxels[k], resolution);
    flags.data_ptr<uint8_t>()[i] = grid->intersected[k];
    for (int a = 0; a < 3; ++a) {
      vertices.data_ptr<uint8_t>()[3 * i + a] = packed[static_cast<size_t>(a)];
      coords.data_ptr<int32_t>()[4 * i + 1 + a] = grid->voxels[k][static_cast<size_t>(a)];
    }
  }
  const auto base = nn::BaseModel::open(folder);
  const auto encoder = nn::load_sc_encoder(*base, "shape_slat_encoder");
  const at::NoGradGuard no_grad;
  return (*encoder)->forward(*nn::SparseTensor::create(nn::dual_grid_channels(vertices, flags), coords, 1)).mean;
}

TEST_F(ShapeLatents, AreTheEncodersMeanOfTheDualGrid) {
  for (const int resolution : {512, 1024}) {
    SCOPED_TRACE(resolution);
    config_.resolution = resolution;
    const mesh::Scene scene = box(1, 0.6f, 0.3f);
    const dataset::Object object = prepared(scene);
    const nn::SparseTensor expected = shape_latent_by_hand(scene, path("base"), resolution / 4);
    const auto latent = object.shape_latent();
    ASSERT_TRUE(latent.ok()) << latent.status();
    EXPECT_EQ(object.shape_grid, resolution / 64);
    ASSERT_EQ(object.shape_tokens, expected.rows());
    EXPECT_GT(object.shape_tokens, 10);
    const at::Tensor coords = torch::tensor(std::vector<int>(latent->coords.begin(), latent->coords.end()), at::kInt);
    EXPECT_TRUE(at::equal(coords.view({-1, 3}), expected.coords.narrow(1, 1, 3)));
    EXPECT_TRUE(at::equal(torch::tensor(latent->feats).view_as(expected.feats), expected.feats));
    EXPECT_GT(expected.feats.std().item<float>(), 0);
  }
}

TEST_F(ShapeLatents, AreDescribedBesideTheOthers) {
  zip({{"flat.glb", box_glb(1, 1, 0.2f)}, {"tall.glb", box_glb(0.2f, 0.2f, 1)}});
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(event_of("flat.glb").status, "ok");
  const auto data = opened();
  const dataset::Manifest& manifest = data.manifest();
  EXPECT_EQ(manifest.folders.at("shape_latent"), "shape_latents/shape_enc_tiny_512");
  EXPECT_EQ(manifest.encoders.at("shape").name, "shape_enc_tiny");
  EXPECT_EQ(manifest.encoders.at("shape").dtype, "fp32");
  EXPECT_EQ(manifest.voxelizer->boundary_weight, 0.2);
  const auto& stage = manifest.stages.at("geometry");
  EXPECT_TRUE(stage.ready);
  EXPECT_EQ(stage.objects, 2);
  EXPECT_EQ(stage.max_tokens, 8192);
  const int64_t a = data.objects()[0].shape_tokens, b = data.objects()[1].shape_tokens;
  EXPECT_EQ(stage.tokens->sum, a + b);
  EXPECT_EQ(stage.tokens->min, std::min(a, b));
  EXPECT_EQ(stage.tokens->max, std::max(a, b));
  for (const auto& record : manifest.objects) {
    EXPECT_GT(record.voxels.at(128), 0);
    EXPECT_GT(record.voxels.at(256), record.voxels.at(128));
  }
}

TEST_F(ShapeLatents, LeaveTheSparseStructureAsItIs) {
  const mesh::Scene scene = box(1, 0.6f, 0.3f);
  const dataset::Object low = prepared(scene);
  config_.resolution = 1024;  // where dual grid and occupancy share their voxels
  config_.output = path("high.zip");
  const dataset::Object high = prepared(scene);
  EXPECT_EQ(*low.ss_latent(), *high.ss_latent());
  EXPECT_EQ(**low.occupancy(), **high.occupancy());
}

TEST_F(ShapeLatents, DoNotDependOnTheNumberOfThreads) {
  zip({{"a.glb", *mesh::write_glb(many_boxes(3, 0.2f))}});
  config_.threads = 1;
  const auto one = run();
  config_.threads = 2;
  config_.output = path("two.zip");
  const auto two = run();
  ASSERT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
  EXPECT_EQ(one->sha256, two->sha256);
}

TEST_F(ShapeLatents, AreMissingWithoutAnEncoder) {
  ASSERT_TRUE(testing::write_tiny_base(path("plain"), {.shape_encoder = false}).ok());
  config_.base = path("plain");
  const dataset::Object object = prepared(box(1, 1, 0.2f));
  EXPECT_EQ(event_of("a.glb").status, "ok");
  EXPECT_EQ(object.shape_tokens, 0);
  EXPECT_GT(object.ss_channels, 0);
  const auto data = opened();
  EXPECT_FALSE(data.manifest().stages.at("geometry").ready);
  EXPECT_EQ(data.manifest().stages.at("geometry").reason, "no_shape_encoder");
  EXPECT_FALSE(data.manifest().folders.contains("shape_latent"));
  // With an encoder the dataset still serves the sparse structure.
  config_.base = path("base");
  config_.input = config_.output;
  config_.output = path("reused.zip");
  ASSERT_TRUE(run().ok());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("no shape latents"), HasSubstr("no texture latents")));
}

TEST_F(ShapeLatents, OfAnotherEncoderAreNotReused) {
  zip({{"a.glb", box_glb(1, 1, 0.2f)}});
  config_.work_dir = path("work");
  ASSERT_TRUE(run().ok());
  ASSERT_TRUE(testing::write_tiny_base(path("base"), {.shape_seed = 7}).ok());
  config_.importer.program = "/nonexistent";  // an object of the work folder would need no import
  EXPECT_EQ(run().status().code(), absl::StatusCode::kUnavailable);
  config_.input = path("set.zip");
  EXPECT_THAT(std::string(run().status().message()), HasSubstr("another shape encoder"));
}

TEST_F(ShapeLatents, WithTooManyCellsCostOnlyTheGeometry) {
  ASSERT_TRUE(testing::write_tiny_base(path("base"), {.grid_scale = 1}).ok());
  zip({{"dense.glb", *mesh::write_glb(many_boxes(21, 0.01f))}, {"plain.glb", box_glb(0.2f, 0.2f, 1)}});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->objects, 2);
  EXPECT_EQ(result->failed, 0);
  EXPECT_EQ(event_of("dense.glb").status, "partial");
  EXPECT_EQ(event_of("dense.glb").code, "TOO_MANY_TOKENS");
  EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("dense.glb"), HasSubstr("at most 8192"))));
  const auto data = opened();
  EXPECT_THAT(data.warnings(), IsEmpty());
  for (const dataset::Object& object : data.objects()) EXPECT_GT(object.ss_channels, 0);
  for (const auto& record : data.manifest().objects) {
    const bool dense = record.path == "dense.glb";
    EXPECT_EQ(record.stages.at("geometry"), dense ? "too_many_tokens" : "ok");
    EXPECT_EQ(record.stages.at("texture"), record.stages.at("geometry"));
    EXPECT_EQ(dataset::token_count(record, "shape") > 8192, dense);
  }
  EXPECT_EQ(data.manifest().stages.at("geometry").objects, 1);
}

TEST_F(ShapeLatents, ThatAreNotFiniteCostOnlyTheGeometry) {
  const fs::path weights = path("base/ckpts/shape_enc_tiny.safetensors");
  auto tensors = *(*nn::SafetensorsFile::open(weights)).tensors();
  for (auto& [name, tensor] : tensors) tensor = at::full_like(tensor, NAN);
  ASSERT_TRUE(nn::write_safetensors(weights, tensors).ok());
  const dataset::Object object = prepared(box(1, 1, 0.2f));
  EXPECT_EQ(event_of("a.glb").code, "ENCODE_NONFINITE");
  EXPECT_EQ(object.shape_tokens, 0);
  EXPECT_TRUE(object.ss_latent().ok());
  const auto data = opened();
  EXPECT_EQ(data.manifest().stages.at("geometry").reason, "encode_nonfinite");
  EXPECT_FALSE(data.manifest().stages.at("geometry").ready);
  EXPECT_TRUE(data.manifest().stages.at("sparse_structure").ready);
}

TEST_F(ShapeLatents, AreMadeOfSurfacesThatEncloseNothing) {
  const std::vector<mesh::Vec3> corners = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}};
  const std::map<std::string, std::string> files = {
      {"crossing.glb", *mesh::write_glb(many_boxes(2, 0.8f))},
      {"degenerate.glb", *mesh::write_glb(scene_of(corners, {{0, 1, 2}, {3, 3, 3}, {0, 3, 0}, {1, 2, 4}}))},
      {"fan.glb", *mesh::write_glb(scene_of(corners, {{0, 1, 2}, {0, 1, 3}, {0, 1, 4}}))},
      {"sheet.glb", *mesh::write_glb(scene_of({{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}}, {{0, 1, 2}, {1, 3, 2}}))},
  };
  zip(files);
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  const auto data = opened();
  ASSERT_THAT(data.objects(), SizeIs(files.size()));
  for (const dataset::Object& object : data.objects()) EXPECT_GT(object.shape_tokens, 0);
}

TEST(VoxelEncoder, OfOtherCellsIsRefused) {
  const auto folder = TempDir::create("shape_latent_test");
  ASSERT_TRUE(testing::write_tiny_base(folder->path()).ok());
  nlohmann::json args = testing::tiny_voxel_encoder();
  for (const char* list : {"model_channels", "num_blocks", "block_type", "down_block_type", "block_args"})
    args[list].erase(0);
  const auto config = nn::ScVaeConfig::parse(args);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_TRUE(testing::write_network(folder->path(), "ckpts/shape_enc_tiny",
                                     {{"name", "FlexiDualGridVaeEncoder"}, {"args", args}},
                                     nn::ScVaeEncoder::init_parameters(*config, testing::generator(1)))
                  .ok());
  const auto encoders = Encoders::load(*nn::BaseModel::open(folder->path()));
  EXPECT_EQ(encoders.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(encoders.status().message()), HasSubstr("8 voxels per cell"));
}

}  // namespace
}  // namespace espalier::preprocess
