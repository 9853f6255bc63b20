#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "mesh/import.h"
#include "mesh/normalize.h"

// The same scene saved in several formats, imported by Blender with the reference's scripts.
namespace espalier::mesh {
namespace {

using nlohmann::json;

struct Measures {
  double area = 0;
  std::array<double, 3> centroid{};  // of the surface
};

Measures measure(const Scene& scene) {
  Measures out;
  for (const Mesh& mesh : scene.meshes) {
    for (const Triangle& t : mesh.triangles) {
      std::array<double, 3> e{}, f{};
      for (int k = 0; k < 3; ++k) {
        e[k] = double{mesh.positions[t[1]][k]} - mesh.positions[t[0]][k];
        f[k] = double{mesh.positions[t[2]][k]} - mesh.positions[t[0]][k];
      }
      const double x = e[1] * f[2] - e[2] * f[1], y = e[2] * f[0] - e[0] * f[2], z = e[0] * f[1] - e[1] * f[0];
      const double area = std::sqrt(x * x + y * y + z * z) / 2;
      out.area += area;
      for (int k = 0; k < 3; ++k) {
        out.centroid[k] +=
            area * (double{mesh.positions[t[0]][k]} + mesh.positions[t[1]][k] + mesh.positions[t[2]][k]) / 3;
      }
    }
  }
  for (double& c : out.centroid) c /= out.area;
  return out;
}

struct Row {
  const char* format;
  const char* file;
  size_t objects;
};

class SameScene : public testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    const auto folder =
        std::filesystem::path(ESP_SOURCE_DIR) / "tests/goldens" / (std::string("ovoxel_import_") + GetParam().format);
    std::ifstream file(folder / "params.json");
    params_ = json::parse(file);
    auto scene = import_scene(folder / "asset" / GetParam().file);
    ASSERT_TRUE(scene.ok()) << scene.status();
    scene_ = *std::move(scene);
  }
  json params_;
  Scene scene_;
};

TEST_P(SameScene, HasTheReferencesGeometryAfterNormalisation) {
  const json& want = params_["mesh"];
  EXPECT_EQ(scene_.meshes.size(), GetParam().objects);
  EXPECT_EQ(face_count(scene_), want["faces"].get<uint64_t>());
  ASSERT_TRUE(normalize(scene_).ok());
  const Bounds box = bounds(scene_).value();
  const Measures got = measure(scene_);
  EXPECT_NEAR(got.area, want["surface_area"].get<double>(), 1e-6);
  for (int a = 0; a < 3; ++a) {
    EXPECT_NEAR(box.min[a], want["bbox_min"][a].get<double>(), 1e-6);
    EXPECT_NEAR(box.max[a], want["bbox_max"][a].get<double>(), 1e-6);
    EXPECT_NEAR(got.centroid[a], want["centroid"][a].get<double>(), 1e-6);
  }
}

double mean_of(const image::Image& image, int first, int count) {
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); i += image.channels) {
    for (int c = 0; c < count; ++c) sum += image.pixels[i + first + c];
  }
  return sum * image.channels / image.pixels.size() / count;
}

void expect_texture(const Scene& scene, const std::optional<Texture>& got, const json& want, const std::string& where) {
  ASSERT_EQ(got.has_value(), !want.is_null()) << where;
  if (!got) return;
  const image::Image& image = scene.images[got->image];
  EXPECT_EQ(image.height, want["shape"][0].get<int>()) << where;
  EXPECT_EQ(image.width, want["shape"][1].get<int>()) << where;
  const int channels = want["shape"].size() == 3 ? 3 : 1;
  EXPECT_NEAR(mean_of(image, got->channel, channels), want["mean"].get<double>(), 1e-6) << where;
  if (!where.starts_with("fbx")) {  // Assimp does not pass an FBX file's wrap modes on
    EXPECT_EQ(got->wrap_u, want["extension"] == "REPEAT" ? Wrap::kRepeat : Wrap::kClamp) << where;
  }
  EXPECT_EQ(got->filter, Filter::kLinear) << where;
}

TEST_P(SameScene, HasTheReferencesMaterials) {
  // Blender sorts materials by name: leaf, plain, textured.
  const json& want = params_["materials"];
  const char* names[] = {"leaf", "plain", "textured"};
  for (size_t i = 0; i < want.size(); ++i) {
    const auto found = std::find_if(scene_.materials.begin(), scene_.materials.end(),
                                    [&](const Material& m) { return m.name == names[i]; });
    ASSERT_NE(found, scene_.materials.end()) << names[i];
    for (int a = 0; a < 3; ++a) EXPECT_NEAR(found->base_color[a], want[i]["baseColorFactor"][a].get<double>(), 1e-5);
    EXPECT_NEAR(found->metallic, want[i]["metallicFactor"].get<double>(), 1e-5) << names[i];
    EXPECT_NEAR(found->roughness, want[i]["roughnessFactor"].get<double>(), 1e-5) << names[i];
    EXPECT_NEAR(found->alpha, want[i]["alphaFactor"].get<double>(), 1e-5) << names[i];
    const std::string where = std::string(GetParam().format) + " " + names[i];
    const bool opaque_texture = want[i]["alphaMode"] == "BLEND" && want[i]["alphaTexture"]["mean"] == 255.0;
    if (!opaque_texture) {
      EXPECT_EQ(found->alpha_mode == AlphaMode::kBlend, want[i]["alphaMode"] == "BLEND") << names[i];
      expect_texture(scene_, found->alpha_texture, want[i]["alphaTexture"], where + " alpha");
    }
    expect_texture(scene_, found->base_color_texture, want[i]["baseColorTexture"], where + " color");
    expect_texture(scene_, found->metallic_texture, want[i]["metallicTexture"], where + " metallic");
    expect_texture(scene_, found->roughness_texture, want[i]["roughnessTexture"], where + " roughness");
  }
}

INSTANTIATE_TEST_SUITE_P(Import, SameScene,
                         testing::Values(Row{"glb", "scene.glb", 5}, Row{"gltf", "scene_sep.gltf", 5},
                                         Row{"obj", "scene.obj", 5}, Row{"ply", "scene.ply", 1},
                                         Row{"stl", "scene.stl", 1}, Row{"fbx", "scene.fbx", 5}),
                         [](const auto& row) { return std::string(row.param.format); });

}  // namespace
}  // namespace espalier::mesh
