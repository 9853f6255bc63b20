#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/sha256.h"
#include "dataset/npz.h"
#include "infer/engine.h"
#include "mesh/import.h"
#include "nn/io/safetensors.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/stored_dual_grid.h"
#include "tests/infer/shape_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class ShapeTest : public ShapeFixture {
 protected:
  static std::string adapter(const std::string& name, uint64_t seed, const TinyAdapter& header) {
    EXPECT_TRUE(write_tiny_adapter(file(name), seed, header));
    return file(name);
  }

  // The decoded grid of the first sample.
  static std::string grid(const GenerateRequest& request, Engine& engine = *engine_) {
    const auto assets = engine.generate(request);
    EXPECT_TRUE(assets.ok()) << assets.status();
    return assets.ok() ? assets->samples[0].file(FileFormat::kNpz) : "";
  }
};

TEST_F(ShapeTest, RunsEveryPipeline) {
  const struct {
    const char* pipeline;
    int resolution;
    std::vector<std::string> stages;
  } rows[] = {
      {"512", 512, {"condition", "sparse_structure", "shape", "decode", "mesh"}},
      {"1024", 1024, {"condition", "sparse_structure", "shape", "decode", "mesh"}},
      {"1024_cascade", 1024, {"condition", "sparse_structure", "shape_low", "shape", "decode", "mesh"}},
      {"1536_cascade", 1536, {"condition", "sparse_structure", "shape_low", "shape", "decode", "mesh"}},
  };
  for (const auto& row : rows) {
    std::vector<std::string> stages;
    GenerateHooks hooks;
    hooks.progress = [&](std::string_view stage, int done, int total) {
      if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
      EXPECT_LE(done, total);
    };
    const auto assets = engine_->generate(request(row.pipeline), hooks);
    ASSERT_TRUE(assets.ok()) << row.pipeline << ": " << assets.status();
    EXPECT_EQ(stages, row.stages) << row.pipeline;
    EXPECT_EQ(assets->pipeline, row.pipeline);
    EXPECT_EQ(assets->resolution, row.resolution);
    EXPECT_EQ(assets->representation, Representation::kDualGrid);
    EXPECT_EQ(assets->structure_resolution, 8);
    const GeneratedSample& sample = assets->samples[0];
    EXPECT_GT(sample.shape_tokens, 0);
    EXPECT_GT(sample.shape_voxels, sample.shape_tokens);
    EXPECT_GT(sample.triangles, 0);
    const auto arrays = dataset::read_npz(sample.file(FileFormat::kNpz));
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    EXPECT_EQ(arrays->at("coords").shape, (std::vector<int64_t>{sample.shape_voxels, 3}));
    EXPECT_EQ(arrays->at("resolution").bytes[0], static_cast<char>(row.resolution / 8));
  }
}

TEST_F(ShapeTest, ChoosesThePipelineByTheResolution) {
  GenerateRequest asked = request("");
  EXPECT_EQ(engine_->generate(asked)->pipeline, "512") << "the smallest of the base";
  asked.resolution = 1024;
  EXPECT_EQ(engine_->generate(asked)->pipeline, "1024_cascade");
}

TEST_F(ShapeTest, RepeatsItselfForTheSameSeed) {
  GenerateRequest other = request("1024_cascade");
  const std::string first = grid(other);
  EXPECT_EQ(first, grid(other));
  other.seed = 8;
  EXPECT_NE(first, grid(other));
}

TEST_F(ShapeTest, DrawsTheStructureFirst) {
  GenerateRequest structure = request("", {FileFormat::kOccupancy});
  structure.last_stage = LastStage::kStructure;
  const auto alone = engine_->generate(structure), whole = engine_->generate(request("512"));
  ASSERT_TRUE(alone.ok() && whole.ok()) << alone.status();
  EXPECT_EQ(alone->representation, Representation::kOccupancy);
  EXPECT_EQ(alone->pipeline, "");
  EXPECT_EQ(alone->samples[0].voxels, whole->samples[0].voxels);
}

TEST_F(ShapeTest, GivesTheSameInLittleMemory) {
  const auto small = open({.memory = "low"});
  ASSERT_TRUE(write_tiny_adapter(file("low_memory.safetensors"), 3, {"geometry", "", 1024}));
  for (const char* pipeline : {"512", "1024_cascade"})
    EXPECT_EQ(grid(request(pipeline), *small), grid(request(pipeline)));
  GenerateRequest adapted = request("1024_cascade");
  adapted.adapters = {{file("low_memory.safetensors"), 1}};
  EXPECT_EQ(grid(adapted, *small), grid(adapted));
}

TEST_F(ShapeTest, AppliesEachAdapterToItsPassOnly) {
  const auto digest = sha256_hex_of_file(base() / "ckpts/shape_1024.safetensors");
  ASSERT_TRUE(digest.ok());
  const std::string low = adapter("g512.safetensors", 1, {"geometry", "", 512});
  const std::string high = adapter("g1024.safetensors", 2, {"geometry", *digest, 1024});
  const auto run = [&](std::vector<AdapterUse> adapters) {
    GenerateRequest asked = request("1024_cascade");
    asked.adapters = std::move(adapters);
    auto assets = engine_->generate(asked);
    EXPECT_TRUE(assets.ok()) << assets.status();
    return *std::move(assets);
  };
  const auto tokens = [](const GeneratedAssets& assets) { return assets.samples[0].shape_tokens; };
  const auto decoded = [](const GeneratedAssets& assets) { return assets.samples[0].file(FileFormat::kNpz); };
  const auto plain = run({}), off = run({{low, 0, true}, {high, 0}}), fine = run({{high, 2}}),
             coarse = run({{low, 2, true}});
  EXPECT_EQ(decoded(off), decoded(plain)) << "scale 0 is exactly the base";
  EXPECT_EQ(tokens(fine), tokens(plain)) << "the first pass is the base's";
  EXPECT_NE(decoded(fine), decoded(plain));
  EXPECT_NE(decoded(coarse), decoded(plain));
  EXPECT_EQ(coarse.samples[0].voxels, plain.samples[0].voxels) << "the structure is the base's";

  GenerateRequest direct = request("512");
  const std::string before = grid(direct);
  direct.adapters = {{low, 2}};
  EXPECT_NE(grid(direct), before);
  EXPECT_EQ(decoded(run({})), decoded(plain)) << "nothing stays behind";
}

TEST_F(ShapeTest, SaysWhyAnAdapterDoesNotFit) {
  const std::string low = adapter("g512.safetensors", 1, {"geometry", "", 512}),
                    high = adapter("g1024.safetensors", 2, {"geometry", "", 1024}),
                    texture = adapter("texture.safetensors", 1, {"texture", "", 512}),
                    structure = adapter("ss.safetensors", 1, {"sparse_structure", "", 0}),
                    foreign = adapter("foreign.safetensors", 1, {"geometry", std::string(64, 'a'), 1024}),
                    unnamed = adapter("unnamed.safetensors", 1, {"", "", 0});
  const struct {
    const char* pipeline;
    AdapterUse use;
    const char* message;
  } rows[] = {
      {"1024_cascade", {low, 1, false}, "mark it low_resolution"},
      {"1024", {low, 1, false}, "last pass of pipeline 1024 runs the network of 1024"},
      {"512", {high, 1, false}, "trained at 1024"},
      {"1024_cascade", {high, 1, true}, "first pass"},
      {"512", {low, 1, true}, "has one pass"},
      {"512", {texture, 1, false}, "this request generates none"},
      {"1024_cascade", {structure, 1, true}, "low_resolution is for geometry"},
      {"1024", {foreign, 1, false}, "another base model"},
      {"512", {unnamed, 1, false}, "does not say which denoiser"},
  };
  for (const auto& row : rows) {
    GenerateRequest asked = request(row.pipeline);
    asked.adapters = {row.use};
    EXPECT_THAT(faults_of(asked), ElementsAre(AllOf(Field(&Fault::field, "adapters[0]"),
                                                    Field(&Fault::message, HasSubstr(row.message)))));
  }
}

TEST_F(ShapeTest, LowersTheResolutionToTheBudget) {
  GenerateRequest asked = request("1536_cascade");
  const auto free = engine_->generate(asked);
  ASSERT_TRUE(free.ok()) << free.status();
  EXPECT_THAT(free->warnings, ::testing::IsEmpty());
  asked.max_num_tokens = static_cast<int>(free->samples[0].shape_tokens);
  const auto tight = engine_->generate(asked);
  ASSERT_TRUE(tight.ok()) << tight.status();
  EXPECT_EQ(tight->resolution, 1408);
  EXPECT_LT(tight->samples[0].shape_tokens, free->samples[0].shape_tokens);
  EXPECT_THAT(tight->warnings, ElementsAre(HasSubstr("lowered from 1536 to 1408")));
}

TEST_F(ShapeTest, RefusesMoreTokensThanTheServiceAllows) {
  const auto limited = open({.max_shape_tokens = 3});
  const auto refused = limited->generate(request("512"));
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  GenerateRequest structure = request("", {FileFormat::kGlb});
  structure.last_stage = LastStage::kStructure;
  EXPECT_TRUE(limited->generate(structure).ok()) << "the engine goes on";
}

TEST_F(ShapeTest, GivesEverySampleItsOwnShape) {
  GenerateRequest several = request("1024_cascade");
  several.samples = 2;
  const auto assets = engine_->generate(several);
  ASSERT_TRUE(assets.ok()) << assets.status();
  ASSERT_EQ(assets->samples.size(), 2u);
  const auto structure = engine_->generate(request("1024_cascade"));
  EXPECT_EQ(assets->samples[0].voxels, structure->samples[0].voxels);
  EXPECT_NE(assets->samples[0].file(FileFormat::kNpz), assets->samples[1].file(FileFormat::kNpz));
  for (const auto& sample : assets->samples) EXPECT_GT(sample.triangles, 0);
}

TEST_F(ShapeTest, StopsInEveryStage) {
  for (const std::string stage : {"condition", "sparse_structure", "shape_low", "shape", "decode", "mesh"}) {
    std::stop_source source;
    GenerateRequest asked = request("1024_cascade");
    asked.samples = 2;  // so that decode and mesh have a second turn
    std::string last;
    GenerateHooks hooks;
    hooks.stop = source.get_token();
    hooks.progress = [&](std::string_view now, int, int) {
      last = now;
      if (now == stage) source.request_stop();
    };
    EXPECT_TRUE(absl::IsCancelled(engine_->generate(asked, hooks).status())) << stage;
    EXPECT_EQ(last, stage);
  }
  EXPECT_TRUE(engine_->generate(request("512")).ok()) << "the engine goes on";
}

TEST_F(ShapeTest, WritesFilesThatReadBackAsTheSameSurface) {
  const auto assets = engine_->generate(
      request("512", {FileFormat::kGlb, FileFormat::kObj, FileFormat::kPly, FileFormat::kStl, FileFormat::kOccupancy}));
  ASSERT_TRUE(assets.ok()) << assets.status();
  const GeneratedSample& sample = assets->samples[0];
  // Corner positions of all triangles.
  const auto corners = [&](FileFormat format, const std::string& name) {
    EXPECT_TRUE(write_file_atomic(file(name), sample.file(format)).ok());
    const auto scene = mesh::import_scene(file(name));
    EXPECT_TRUE(scene.ok()) << name << ": " << scene.status();
    std::vector<mesh::Vec3> out;
    for (const mesh::Triangle& t : scene.ok() ? scene->meshes.at(0).triangles : std::vector<mesh::Triangle>()) {
      for (const uint32_t vertex : t) out.push_back(scene->meshes[0].positions[vertex]);
    }
    return out;
  };
  const auto glb = corners(FileFormat::kGlb, "model.glb");
  EXPECT_EQ(glb.size(), static_cast<size_t>(sample.triangles * 3));
  EXPECT_EQ(corners(FileFormat::kObj, "model.obj"), glb);
  EXPECT_EQ(corners(FileFormat::kPly, "model.ply"), glb);
  EXPECT_EQ(corners(FileFormat::kStl, "model.stl"), glb);
  const auto cells = dataset::read_npz(sample.file(FileFormat::kOccupancy));
  ASSERT_TRUE(cells.ok());
  EXPECT_EQ(cells->at("coords").shape.at(0), static_cast<int64_t>(sample.voxels.size()));
}

TEST_F(ShapeTest, StoresTheDecodedGridAsVxz) {
  const auto assets = engine_->generate(request("512", {FileFormat::kVxz, FileFormat::kNpz}));
  ASSERT_TRUE(assets.ok()) << assets.status();
  const auto table = ovoxel::decode_vxz(assets->samples[0].file(FileFormat::kVxz));
  ASSERT_TRUE(table.ok()) << table.status();
  const auto stored = ovoxel::unpack_dual_grid(*table);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const auto arrays = dataset::read_npz(assets->samples[0].file(FileFormat::kNpz));
  ASSERT_TRUE(arrays.ok());
  const auto vertices = arrays->at("vertices").floats();
  const auto crossed = arrays->at("intersected").u8();
  ASSERT_TRUE(vertices.ok() && crossed.ok());
  std::map<ovoxel::Voxel, size_t> row;
  const auto* coords = reinterpret_cast<const int32_t*>(arrays->at("coords").bytes.data());
  for (size_t i = 0; i * 3 < vertices->size(); ++i) row[{coords[3 * i], coords[3 * i + 1], coords[3 * i + 2]}] = i;
  ASSERT_EQ(row.size(), stored->voxels.size());
  for (size_t i = 0; i < stored->voxels.size(); ++i) {
    const size_t j = row.at(stored->voxels[i]);
    for (size_t a = 0; a < 3; ++a) {
      EXPECT_NEAR(stored->vertices[i][a], std::clamp((*vertices)[3 * j + a], 0.0f, 1.0f), 1.0 / 255);
      EXPECT_EQ(stored->intersected[i] >> a & 1, (*crossed)[3 * j + a]);
    }
  }
  EXPECT_TRUE(ovoxel::dual_mesh(stored->view(), ovoxel::Grid::cube(64)).ok());
}

TEST_F(ShapeTest, SimplifiesToTheTarget) {
  GenerateRequest asked = request("1024", {FileFormat::kGlb});
  const auto full = engine_->generate(asked);
  asked.decimation_target = 1000;
  const auto small = engine_->generate(asked);
  ASSERT_TRUE(full.ok() && small.ok());
  ASSERT_GT(full->samples[0].triangles, 1000);
  EXPECT_LT(small->samples[0].triangles, full->samples[0].triangles);
  EXPECT_EQ(small->samples[0].triangles > 1000, !small->warnings.empty());
}

TEST_F(ShapeTest, MakesAClosedSurfaceAnewUnlessToldOtherwise) {
  GenerateRequest asked = request("512", {FileFormat::kGlb, FileFormat::kPly});
  asked.remesh.reset();
  const auto assets = engine_->generate(asked);
  ASSERT_TRUE(assets.ok()) << assets.status();
  EXPECT_THAT(assets->samples[0].file(FileFormat::kGlb), ::testing::Not(HasSubstr("doubleSided")));
  ASSERT_TRUE(write_file_atomic(file("anew.ply"), assets->samples[0].file(FileFormat::kPly)).ok());
  const auto scene = mesh::import_scene(file("anew.ply"));
  ASSERT_TRUE(scene.ok()) << scene.status();
  std::map<std::pair<uint32_t, uint32_t>, int> sides;
  for (const mesh::Triangle& t : scene->meshes.at(0).triangles) {
    for (size_t k = 0; k < 3; ++k) {
      ++sides[{t[k], t[(k + 1) % 3]}];
      --sides[{t[(k + 1) % 3], t[k]}];
    }
  }
  for (const auto& [side, balance] : sides) EXPECT_EQ(balance, 0);
  asked.remesh_band = 9;
  EXPECT_THAT(faults_of(asked), ElementsAre(Field(&Fault::field, "mesh.remesh_band")));
}

TEST_F(ShapeTest, RefusesWhatTheBaseCannotDo) {
  GenerateRequest unknown = request("2048"), mixed = request("512"), huge = request(""), structure = request("512");
  mixed.resolution = 1024;
  huge.resolution = 2048;
  structure.last_stage = LastStage::kStructure;
  structure.shape.steps = 3;
  EXPECT_THAT(faults_of(unknown), ElementsAre(AllOf(Field(&Fault::field, "pipeline_type"),
                                                    Field(&Fault::message, HasSubstr("512, 1024, 1024_cascade")))));
  EXPECT_THAT(faults_of(mixed), ElementsAre(Field(&Fault::field, "resolution")));
  EXPECT_THAT(faults_of(huge), ElementsAre(Field(&Fault::field, "resolution")));
  EXPECT_THAT(faults_of(structure), ElementsAre(Field(&Fault::field, "pipeline_type"), Field(&Fault::field, "shape"),
                                                Field(&Fault::field, "formats[0]")));
}

// A copy of the base, with changes.
class ChangedBase {
 public:
  ChangedBase(const std::filesystem::path& base, const std::filesystem::path& copy) : folder_(copy) {
    std::filesystem::copy(base, copy, std::filesystem::copy_options::recursive);
  }

  void edit(const char* name, const std::function<void(nlohmann::json&)>& change) const {
    std::ifstream in(folder_ / name);
    auto json = nlohmann::json::parse(in);
    change(json);
    ASSERT_TRUE(write_file_atomic(folder_ / name, json.dump()).ok());
  }

  // Sets parameters of the shape decoder.
  void fill(const std::string& suffix, double value) const {
    const auto path = folder_ / "ckpts/shape_decoder.safetensors";
    auto opened = nn::SafetensorsFile::open(path);
    ASSERT_TRUE(opened.ok());
    nn::TensorMap tensors = opened->tensors().value();
    for (auto& [name, tensor] : tensors) {
      tensor = name.ends_with(suffix) ? at::full_like(tensor, value) : tensor.clone();
    }
    ASSERT_TRUE(nn::write_safetensors(path, tensors).ok());
  }

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

TEST_F(ShapeTest, SaysThatNothingCameOut) {
  const ChangedBase barren(base(), file("barren"));
  barren.fill("to_subdiv.bias", -1000);
  const auto engine = open({.base = barren.folder()});
  for (const char* pipeline : {"512", "1024_cascade"}) {
    const auto refused = engine->generate(request(pipeline));
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("no shape"));
  }
}

TEST_F(ShapeTest, SaysThatNumbersAreNotFinite) {
  const ChangedBase poisoned(base(), file("poisoned"));
  poisoned.fill("output_layer.bias", NAN);
  const auto refused = open({.base = poisoned.folder()})->generate(request("512"));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("not finite"));
}

TEST_F(ShapeTest, RunsWhatABaseOfOneTierAllows) {
  const ChangedBase half(base(), file("half"));
  half.edit("pipeline.json", [](auto& json) { json["args"]["models"].erase("shape_slat_flow_model_1024"); });
  const auto engine = open({.base = half.folder()});
  EXPECT_EQ(grid(request("512"), *engine), grid(request("512")));
  std::vector<Fault> faults;
  EXPECT_FALSE(engine->generate(request("1024_cascade"), {}, &faults).ok());
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::message, ::testing::EndsWith("for: 512"))));
}

TEST_F(ShapeTest, NamesShapeNetworksThatDoNotFit) {
  const ChangedBase unscaled(base(), file("unscaled")), narrow(base(), file("narrow")), gone(base(), file("gone"));
  unscaled.edit("espalier.json", [](auto& json) { json["grid_scale"] = 0.25; });
  narrow.edit("pipeline.json", [](auto& json) {
    json["args"]["shape_slat_normalization"] = {{"mean", {0}}, {"std", {1}}};
  });
  std::filesystem::remove(gone.folder() / "ckpts/shape_1024.safetensors");
  const struct {
    const ChangedBase& base;
    const char* message;
  } rows[] = {{unscaled, "8 cells per side instead of 64"},
              {narrow, "shape_slat_normalization must have 8"},
              {gone, "shape_slat_flow_model_1024"}};
  for (const auto& row : rows) {
    for (const char* memory : {"resident", "low"}) {
      const auto engine = Engine::open({.base = row.base.folder(), .memory = memory});
      ASSERT_FALSE(engine.ok());
      EXPECT_THAT(std::string(engine.status().message()), HasSubstr(row.message));
    }
  }
}

TEST(StructureOnly, CannotBeAskedForAShape) {
  const TempDir folder = *TempDir::create();
  ASSERT_TRUE(write_tiny_base(folder.path()));
  const auto engine = Engine::open({.base = folder.path()});
  ASSERT_TRUE(engine.ok()) << engine.status();
  GenerateRequest request;
  request.image = picture();
  request.last_stage = LastStage::kShape;
  const Status refused = (*engine)->generate(request).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("stop_after"));
}

}  // namespace
}  // namespace espalier::infer
