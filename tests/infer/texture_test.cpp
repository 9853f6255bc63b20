#include <fstream>
#include <nlohmann/json.hpp>

#include "common/sha256.h"
#include "mesh/import.h"
#include "ovoxel/vxz.h"
#include "tests/infer/texture_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

class TextureTest : public TextureFixture {
 protected:
  static mesh::Scene scene_of(const GeneratedAssets& assets) {
    EXPECT_TRUE(write_file_atomic(file("read.glb"), assets.samples[0].file(FileFormat::kGlb)).ok());
    auto scene = mesh::import_scene(file("read.glb"));
    EXPECT_TRUE(scene.ok()) << scene.status();
    return scene.ok() ? *scene : mesh::Scene();
  }

  // A copy of the base with another pipeline.json.
  static std::filesystem::path changed_base(const std::string& name,
                                            const std::function<void(nlohmann::json& args)>& change) {
    std::filesystem::copy(base(), file(name), std::filesystem::copy_options::recursive);
    std::ifstream in(file(name) / "pipeline.json");
    auto json = nlohmann::json::parse(in);
    change(json["args"]);
    EXPECT_TRUE(write_file_atomic(file(name) / "pipeline.json", json.dump()).ok());
    return file(name);
  }
};

TEST_F(TextureTest, FollowsTheShapeInEveryPipeline) {
  const struct {
    const char* pipeline;
    bool cascade;
  } rows[] = {{"512", false}, {"1024", false}, {"1024_cascade", true}, {"1536_cascade", true}};
  for (const auto& row : rows) {
    std::vector<std::string> stages;
    int decoded = 0, evaluations = 0;
    GenerateHooks hooks;
    hooks.progress = [&](std::string_view stage, int done, int total) {
      if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
      EXPECT_LE(done, total);
      if (stage == "decode") decoded = total;
      if (stage == "texture") evaluations = total;
    };
    const auto assets = engine_->generate(request(row.pipeline), hooks);
    ASSERT_TRUE(assets.ok()) << row.pipeline << ": " << assets.status();
    std::vector<std::string> want = {"condition", "sparse_structure", "shape", "texture", "decode", "mesh"};
    if (row.cascade) want.insert(want.begin() + 2, "shape_low");
    EXPECT_EQ(stages, want) << row.pipeline;
    EXPECT_EQ(decoded, 2) << "the shape and its texture";
    EXPECT_EQ(evaluations, 4) << "four steps without guidance";
    EXPECT_TRUE(assets->textured);
    const auto arrays = dataset::read_npz(assets->samples[0].file(FileFormat::kNpz));
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    const int64_t voxels = assets->samples[0].shape_voxels;
    EXPECT_EQ(arrays->at("base_color").shape, (std::vector<int64_t>{voxels, 3}));
    for (const char* name : {"metallic", "roughness", "alpha"}) {
      EXPECT_EQ(arrays->at(name).shape, (std::vector<int64_t>{voxels, 1})) << name;
    }
  }
}

TEST_F(TextureTest, DrawsItsNoiseAfterTheShapes) {
  GenerateRequest bare = request("1024_cascade");
  bare.last_stage = LastStage::kShape;
  const auto with = grid(request("1024_cascade")), without = grid(bare);
  EXPECT_FALSE(without.contains("base_color"));
  for (const char* name : {"coords", "vertices", "intersected", "split_weights"}) {
    EXPECT_EQ(with.at(name).bytes, without.at(name).bytes) << name;
  }
}

TEST_F(TextureTest, IsTheSameInLittleMemory) {
  const auto small = open({.memory = "low"});
  for (const char* pipeline : {"512", "1024_cascade"}) {
    EXPECT_EQ(grid(request(pipeline), *small).at("base_color").bytes, grid(request(pipeline)).at("base_color").bytes);
  }
}

TEST_F(TextureTest, GivesEverySampleItsOwn) {
  GenerateRequest several = request("512");
  several.samples = 2;
  const auto assets = engine_->generate(several);
  ASSERT_TRUE(assets.ok()) << assets.status();
  for (const GeneratedSample& sample : assets->samples) {
    const auto arrays = dataset::read_npz(sample.file(FileFormat::kNpz));
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    EXPECT_EQ(arrays->at("base_color").shape[0], sample.shape_voxels);
  }
  EXPECT_NE(assets->samples[0].file(FileFormat::kNpz), assets->samples[1].file(FileFormat::kNpz));
}

TEST_F(TextureTest, IsLeftOutWhereNoFileHoldsIt) {
  const auto assets = engine_->generate(request("512", {FileFormat::kStl}));
  ASSERT_TRUE(assets.ok()) << assets.status();
  EXPECT_FALSE(assets->textured);
  EXPECT_THAT(assets->seconds, Not(Contains(::testing::Pair("texture", ::testing::_))));
}

TEST_F(TextureTest, TakesItsOwnAdaptersAndSamplerSettings) {
  const auto digest = sha256_hex_of_file(base() / "ckpts/texture_1024.safetensors");
  ASSERT_TRUE(digest.ok());
  ASSERT_TRUE(write_tiny_adapter(file("t1024.safetensors"), 1, {"texture", *digest, 1024}));
  ASSERT_TRUE(write_tiny_adapter(file("t512.safetensors"), 2, {"texture", "", 512}));
  const auto plain = grid(request("1024_cascade"));
  GenerateRequest adapted = request("1024_cascade"), off = adapted, guided = adapted, small = request("512");
  adapted.adapters = {{file("t1024.safetensors"), 2}};
  off.adapters = {{file("t1024.safetensors"), 0}};
  guided.texture.guidance_strength = 3;
  EXPECT_NE(grid(adapted).at("base_color").bytes, plain.at("base_color").bytes);
  EXPECT_EQ(grid(adapted).at("vertices").bytes, plain.at("vertices").bytes) << "the shape is the base's";
  EXPECT_EQ(grid(off).at("base_color").bytes, plain.at("base_color").bytes);
  EXPECT_NE(grid(guided).at("base_color").bytes, plain.at("base_color").bytes);
  const auto before = grid(small);
  small.adapters = {{file("t512.safetensors"), 2}};
  EXPECT_NE(grid(small).at("base_color").bytes, before.at("base_color").bytes);
}

TEST_F(TextureTest, SaysWhyAnAdapterDoesNotFit) {
  ASSERT_TRUE(write_tiny_adapter(file("any.safetensors"), 1, {"texture", "", 512}));
  GenerateRequest low = request("1024_cascade"), tier = request("1024"), bare = request("512");
  low.adapters = {{file("any.safetensors"), 1, true}};
  tier.adapters = bare.adapters = {{file("any.safetensors"), 1}};
  bare.last_stage = LastStage::kShape;
  const struct {
    const GenerateRequest& request;
    const char* message;
  } rows[] = {{low, "low_resolution is for geometry"}, {tier, "network of 1024"}, {bare, "generates none"}};
  for (const auto& row : rows) {
    EXPECT_THAT(faults_of(row.request), ElementsAre(AllOf(Field(&Fault::field, "adapters[0]"),
                                                          Field(&Fault::message, HasSubstr(row.message)))));
  }
}

TEST_F(TextureTest, BakesOneMaterialIntoTheGlb) {
  const auto assets = engine_->generate(glb_request());
  ASSERT_TRUE(assets.ok()) << assets.status();
  const mesh::Scene scene = scene_of(*assets);
  ASSERT_EQ(scene.materials.size(), 1u);
  EXPECT_TRUE(scene.materials[0].base_color_texture && scene.materials[0].roughness_texture);
  EXPECT_TRUE(scene.materials[0].double_sided);
  ASSERT_EQ(scene.images.size(), 2u);
  EXPECT_EQ(scene.images[0].width, 64);
  EXPECT_EQ(static_cast<int64_t>(mesh::face_count(scene)), assets->samples[0].triangles);
  EXPECT_FALSE(scene.meshes.at(0).uvs.empty());

  GenerateRequest anew = glb_request();
  anew.remesh.reset();
  const auto closed = engine_->generate(anew);
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_FALSE(scene_of(*closed).materials.at(0).double_sided);

  GenerateRequest bare = request("512", {FileFormat::kGlb});
  bare.geometry_only = true;
  const auto untextured = engine_->generate(bare);
  ASSERT_TRUE(untextured.ok()) << untextured.status();
  EXPECT_TRUE(scene_of(*untextured).images.empty());
}

TEST_F(TextureTest, EncodesTheTexturesAsAskedFor) {
  const struct {
    mesh::TextureFormat format;
    const char* type;
  } rows[] = {{mesh::TextureFormat::kPng, "image/png"},
              {mesh::TextureFormat::kJpeg, "image/jpeg"},
              {mesh::TextureFormat::kWebp, "image/webp"}};
  for (const auto& row : rows) {
    GenerateRequest asked = glb_request();
    asked.texture_format = row.format;
    const auto assets = engine_->generate(asked);
    ASSERT_TRUE(assets.ok()) << assets.status();
    EXPECT_NE(assets->samples[0].file(FileFormat::kGlb).find(row.type), std::string::npos);
    EXPECT_EQ(scene_of(*assets).images.size(), 2u);
  }
}

TEST_F(TextureTest, WritesTheAlphaModeAskedFor) {
  const struct {
    bake::AlphaChoice choice;
    mesh::AlphaMode mode;
  } rows[] = {{bake::AlphaChoice::kOpaque, mesh::AlphaMode::kOpaque},
              {bake::AlphaChoice::kBlend, mesh::AlphaMode::kBlend},
              {bake::AlphaChoice::kMask, mesh::AlphaMode::kMask}};
  for (const auto& row : rows) {
    GenerateRequest asked = glb_request();
    asked.alpha_mode = row.choice;
    const auto assets = engine_->generate(asked);
    ASSERT_TRUE(assets.ok()) << assets.status();
    EXPECT_EQ(scene_of(*assets).materials.at(0).alpha_mode, row.mode);
  }
}

TEST_F(TextureTest, StoresTheMaterialsAsVxz) {
  const auto assets = engine_->generate(request("512", {FileFormat::kVxz, FileFormat::kNpz}));
  ASSERT_TRUE(assets.ok()) << assets.status();
  const auto table = ovoxel::decode_vxz(assets->samples[0].file(FileFormat::kVxz));
  ASSERT_TRUE(table.ok()) << table.status();
  const auto arrays = dataset::read_npz(assets->samples[0].file(FileFormat::kNpz));
  ASSERT_TRUE(arrays.ok());
  std::map<ovoxel::Voxel, size_t> row;
  const auto* coords = reinterpret_cast<const int32_t*>(arrays->at("coords").bytes.data());
  for (size_t i = 0; i < table->voxels.size(); ++i) row[{coords[3 * i], coords[3 * i + 1], coords[3 * i + 2]}] = i;
  ASSERT_EQ(row.size(), table->voxels.size());
  const std::pair<const char*, size_t> parts[] = {{"base_color", 3}, {"metallic", 1}, {"roughness", 1}, {"alpha", 1}};
  for (const auto& [name, channels] : parts) {
    const ovoxel::VoxelAttribute* stored = table->attribute(name);
    ASSERT_NE(stored, nullptr) << name;
    ASSERT_EQ(stored->channels, channels);
    const auto exact = arrays->at(name).floats();
    ASSERT_TRUE(exact.ok());
    for (size_t i = 0; i < table->voxels.size(); ++i) {
      for (size_t c = 0; c < channels; ++c) {
        const float value = std::clamp((*exact)[row.at(table->voxels[i]) * channels + c], 0.0f, 1.0f);
        EXPECT_NEAR(stored->values[i * channels + c], value * 255, 1);
      }
    }
  }
}

TEST_F(TextureTest, StopsWhileItIsSampledDecodedAndBaked) {
  for (const std::string stage : {"texture", "decode", "bake"}) {
    std::stop_source source;
    GenerateHooks hooks;
    hooks.stop = source.get_token();
    std::string last;
    hooks.progress = [&](std::string_view now, int, int) {
      last = now;
      if (now == stage) source.request_stop();
    };
    EXPECT_TRUE(absl::IsCancelled(engine_->generate(glb_request(), hooks).status())) << stage;
    EXPECT_EQ(last, stage);
  }
  EXPECT_TRUE(engine_->generate(glb_request()).ok()) << "the engine goes on";
}

TEST_F(TextureTest, NamesTheFieldsThatAreWrong) {
  GenerateRequest bad = glb_request(), bare = request("512", {FileFormat::kGlb}),
                  stl = request("512", {FileFormat::kStl});
  bad.texture_size = 100;
  bad.preset = "huge";
  bad.texture.steps = 0;
  EXPECT_THAT(faults_of(bad),
              ElementsAre(Field(&Fault::field, "mesh.preset"), Field(&Fault::field, "mesh.texture_size"),
                          Field(&Fault::field, "texture.steps")));
  bare.geometry_only = true;
  bare.texture_size = 64;
  EXPECT_THAT(faults_of(bare), ElementsAre(AllOf(Field(&Fault::field, "mesh.texture_size"),
                                                 Field(&Fault::message, HasSubstr("geometry_only")))));
  stl.texture.steps = 3;
  stl.alpha_mode = bake::AlphaChoice::kMask;
  EXPECT_THAT(faults_of(stl), ElementsAre(Field(&Fault::field, "texture"), Field(&Fault::field, "mesh.alpha_mode")));
}

TEST_F(TextureTest, EndsWithTheShapeWhereTheBaseHasNoNetworkForIt) {
  const auto half =
      open({.base = changed_base("half", [](auto& args) { args["models"].erase("tex_slat_flow_model_1024"); })});
  const auto small = half->generate(request("512")), large = half->generate(request("1024_cascade"));
  ASSERT_TRUE(small.ok() && large.ok()) << large.status();
  EXPECT_TRUE(small->textured);
  EXPECT_FALSE(large->textured);
  GenerateRequest asked = request("1024_cascade");
  asked.last_stage = LastStage::kTexture;
  const Status refused = half->generate(asked).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("no networks for the texture of pipeline 1024_cascade"));
}

TEST_F(TextureTest, NamesNetworksThatDoNotFit) {
  const struct {
    std::filesystem::path base;
    const char* message;
  } rows[] = {
      {changed_base("narrow",
                    [](auto& args) {
                      args["tex_slat_normalization"] = {{"mean", {0}}, {"std", {1}}};
                    }),
       "tex_slat_normalization must have 8"},
      {changed_base("swapped", [](auto& args) { args["models"]["tex_slat_flow_model_512"] = "ckpts/shape_512"; }),
       "tex_slat_flow_model_512 must take 16 channels"},
      {changed_base("guideless", [](auto& args) { args["models"]["tex_slat_decoder"] = "ckpts/shape_decoder"; }),
       "tex_slat_decoder must have"}};
  for (const auto& row : rows) {
    for (const char* memory : {"resident", "low"}) {
      const auto engine = Engine::open({.base = row.base, .memory = memory});
      ASSERT_FALSE(engine.ok());
      EXPECT_THAT(std::string(engine.status().message()), HasSubstr(row.message));
    }
  }
}

TEST(Preset, FillsWhatIsNotSaid) {
  OutputOptions options;
  EXPECT_EQ(options.triangles(), 500'000);
  EXPECT_EQ(options.texels(), 2048);
  options.preset = "game";
  EXPECT_EQ(options.triangles(), 10'000);
  EXPECT_EQ(options.texels(), 1024);
  options.texture_size = 512;
  EXPECT_EQ(options.triangles(), 10'000);
  EXPECT_EQ(options.texels(), 512);
  options.decimation_target = 3000;
  EXPECT_EQ(options.triangles(), 3000);
}

}  // namespace
}  // namespace espalier::infer
