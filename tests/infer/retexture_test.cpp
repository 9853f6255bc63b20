#include "mesh/import.h"
#include "mesh/normalize.h"
#include "tests/infer/texture_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

// A box from `low`, `size` along x, y and z; `uvs` unfolds its sides without overlap.
mesh::Scene box(const mesh::Vec3& low, const mesh::Vec3& size, bool uvs) {
  mesh::Mesh out;
  for (uint32_t side = 0; side < 6; ++side) {
    const size_t axis = side / 2, u = (axis + 1) % 3, v = (axis + 2) % 3;
    for (uint32_t corner = 0; corner < 4; ++corner) {
      const bool at_u = corner == 1 || corner == 2, at_v = corner >= 2;
      mesh::Vec3 p = low;
      p[axis] += side % 2 == 0 ? 0 : size[axis];
      p[u] += at_u ? size[u] : 0;
      p[v] += at_v ? size[v] : 0;
      out.positions.push_back(p);
      if (uvs) {
        const float x = static_cast<float>(side % 3) / 3, y = static_cast<float>(side / 3) / 2;
        out.uvs.push_back({x + (at_u ? 0.3f : 0.03f), y + (at_v ? 0.45f : 0.05f)});
      }
      out.points.push_back(4 * side + corner);
    }
    const uint32_t first = 4 * side;
    out.triangles.push_back({first, first + 1, first + 2});
    out.triangles.push_back({first, first + 2, first + 3});
  }
  out.material_ids.assign(out.triangles.size(), -1);
  mesh::Scene scene;
  scene.meshes.push_back(std::move(out));
  return scene;
}

class RetextureTest : public TextureFixture {
 protected:
  static RetextureRequest request(bool uvs = false) {
    RetextureRequest request;
    request.mesh = box({2, -3, 5}, {4, 1, 2}, uvs);
    request.image = picture();
    request.seed = 7;
    request.texture_size = 64;
    return request;
  }

  static std::string glb_of(const RetextureRequest& request, Engine& engine = *engine_) {
    const auto assets = engine.retexture(request);
    EXPECT_TRUE(assets.ok()) << assets.status();
    return assets.ok() ? assets->samples[0].file(FileFormat::kGlb) : "";
  }

  static mesh::Scene scene_of(const std::string& glb) {
    EXPECT_TRUE(write_file_atomic(file("read.glb"), glb).ok());
    auto scene = mesh::import_scene(file("read.glb"));
    EXPECT_TRUE(scene.ok()) << scene.status();
    return scene.ok() ? *scene : mesh::Scene();
  }
};

TEST_F(RetextureTest, TexturesTheMeshWhereItIs) {
  std::vector<std::string> stages;
  GenerateHooks hooks;
  hooks.progress = [&](std::string_view stage, int, int) {
    if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
  };
  const auto assets = engine_->retexture(request(), hooks);
  ASSERT_TRUE(assets.ok()) << assets.status();
  EXPECT_THAT(stages, ElementsAre("condition", "encode", "texture", "decode", "bake"));
  EXPECT_EQ(assets->representation, Representation::kGivenMesh);
  EXPECT_EQ(assets->resolution, 512);
  EXPECT_EQ(assets->seed, 7u);
  EXPECT_GT(assets->samples[0].shape_tokens, 0);
  const mesh::Scene scene = scene_of(assets->samples[0].file(FileFormat::kGlb));
  EXPECT_EQ(mesh::face_count(scene), 12u);
  EXPECT_TRUE(scene.materials.at(0).base_color_texture.has_value());
  const auto bounds = mesh::bounds(scene);
  ASSERT_TRUE(bounds.ok());
  const mesh::Vec3 low{2, -3, 5}, high{6, -2, 7};
  for (size_t a = 0; a < 3; ++a) {
    EXPECT_NEAR(bounds->min[a], low[a], 1e-5);
    EXPECT_NEAR(bounds->max[a], high[a], 1e-5);
  }
}

TEST_F(RetextureTest, PassesOnWhatTheImporterHadToDrop) {
  RetextureRequest asked = request();
  asked.mesh.warnings = {"skin 3 was ignored"};
  const auto assets = engine_->retexture(asked);
  ASSERT_TRUE(assets.ok()) << assets.status();
  EXPECT_THAT(assets->warnings, ElementsAre("mesh: skin 3 was ignored"));
}

TEST_F(RetextureTest, KeepsTheMeshsOwnTextureCoordinates) {
  RetextureRequest asked = request(true);
  asked.keep_uvs = true;
  const mesh::Scene kept = scene_of(glb_of(asked));
  EXPECT_EQ(kept.meshes.at(0).uvs, asked.mesh.meshes[0].uvs);
  asked.keep_uvs = false;
  EXPECT_NE(scene_of(glb_of(asked)).meshes.at(0).uvs, asked.mesh.meshes[0].uvs);
}

TEST_F(RetextureTest, DependsOnSeedResolutionAndAdapterButNotOnMemory) {
  const RetextureRequest plain = request();
  RetextureRequest seed = plain, fine = plain, adapted = plain;
  const std::string before = glb_of(plain);
  EXPECT_EQ(glb_of(plain), before);
  EXPECT_EQ(glb_of(plain, *open({.memory = "low"})), before);
  seed.seed = 8;
  EXPECT_NE(glb_of(seed), before);
  fine.resolution = 1024;
  EXPECT_NE(glb_of(fine), before);
  ASSERT_TRUE(write_tiny_adapter(file("t.safetensors"), 1, {"texture", "", 512}));
  adapted.adapters = {{file("t.safetensors"), 2}};
  EXPECT_NE(glb_of(adapted), before);
}

TEST_F(RetextureTest, NamesTheFieldsThatAreWrong) {
  ASSERT_TRUE(write_tiny_adapter(file("g.safetensors"), 1, {"geometry", "", 512}));
  RetextureRequest bad = request();
  bad.resolution = 700;
  bad.keep_uvs = true;
  bad.texture_size = 3;
  bad.texture.steps = 99;
  bad.image = "GIF89a";
  std::vector<Fault> faults;
  EXPECT_TRUE(absl::IsInvalidArgument(engine_->retexture(bad, {}, &faults).status()));
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "resolution"), Field(&Fault::field, "keep_uvs"),
                                  Field(&Fault::field, "mesh.texture_size"), Field(&Fault::field, "texture.steps"),
                                  Field(&Fault::field, "image")));
  RetextureRequest misplaced = request();
  misplaced.adapters = {{file("g.safetensors"), 1}};
  faults.clear();
  EXPECT_FALSE(engine_->retexture(misplaced, {}, &faults).ok());
  EXPECT_THAT(faults, ElementsAre(AllOf(Field(&Fault::field, "adapters[0]"),
                                        Field(&Fault::message, HasSubstr("only texture adapters")))));
}

TEST_F(RetextureTest, StopsInEveryStage) {
  for (const std::string stage : {"condition", "texture", "decode", "bake"}) {
    std::stop_source source;
    GenerateHooks hooks;
    hooks.stop = source.get_token();
    hooks.progress = [&](std::string_view now, int, int) {
      if (now == stage) source.request_stop();
    };
    EXPECT_TRUE(absl::IsCancelled(engine_->retexture(request(), hooks).status())) << stage;
  }
}

TEST_F(RetextureTest, NeedsABaseThatCan) {
  ASSERT_TRUE(write_tiny_shape_base(file("shape")));
  const Status refused = open({.base = file("shape")})->retexture(request()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("shape_slat_encoder"));
  const auto limited = Engine::open({.base = base(), .max_shape_tokens = 1});
  ASSERT_TRUE(limited.ok());
  EXPECT_TRUE(absl::IsResourceExhausted((*limited)->retexture(request()).status()));
}

}  // namespace
}  // namespace espalier::infer
