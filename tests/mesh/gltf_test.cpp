#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "absl/strings/escaping.h"
#include "asset_folder.h"
#include "image/codec.h"

namespace espalier::mesh {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string png(int width, int height, int channels, uint8_t first) {
  image::Image image{width, height, channels, std::vector<uint8_t>(size_t(width) * height * channels)};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(first + i);
  return image::encode_png(image).value();
}

std::string data_uri(const std::string& bytes, const std::string& type = "application/octet-stream") {
  std::string encoded;
  absl::Base64Escape(bytes, &encoded);
  return "data:" + type + ";base64," + encoded;
}

json embedded(json j, const std::string& bytes) {
  j["buffers"][0]["uri"] = data_uri(bytes);
  j["buffers"][0]["byteLength"] = bytes.size();
  return j;
}

TEST(Gltf, ReadsATriangleAndTurnsYUpIntoZUp) {
  const AssetFolder folder;
  for (const bool binary : {true, false}) {
    const auto scene = binary ? folder.import("a.glb", glb(triangle_json(), triangle_bytes()))
                              : folder.import("a.gltf", embedded(triangle_json(), triangle_bytes()).dump());
    ASSERT_TRUE(scene.ok()) << scene.status();
    ASSERT_EQ(scene->meshes.size(), 1u);
    EXPECT_EQ(scene->meshes[0].name, "node");
    EXPECT_EQ(scene->meshes[0].positions, (std::vector<Vec3>{{0, 0, 0}, {1, 0, 0}, {0, 0, 2}}));
    EXPECT_EQ(scene->meshes[0].triangles, (std::vector<Triangle>{{0, 1, 2}}));
    EXPECT_EQ(scene->meshes[0].material_ids, (std::vector<int32_t>{-1}));
    EXPECT_TRUE(scene->meshes[0].normals.empty());
  }
}

TEST(Gltf, ReadsBuffersBesideItThroughPercentEscapes) {
  const AssetFolder folder;
  folder.write("my data/bin 1.bin", triangle_bytes());
  json j = triangle_json();
  j["buffers"][0]["uri"] = "my%20data/bin%201.bin";
  EXPECT_TRUE(folder.import("a.gltf", j.dump()).ok());
}

TEST(Gltf, ReadsFoldersAboveOnlyInsideTheRoot) {
  const AssetFolder folder;
  folder.write("buffers/b.bin", triangle_bytes());
  json j = triangle_json();
  j["buffers"][0]["uri"] = "../buffers/b.bin";
  EXPECT_FALSE(folder.import("models/a.gltf", j.dump()).ok());
  EXPECT_TRUE(folder.import("models/a.gltf", j.dump(), {folder.path(), {}}).ok());
}

TEST(Gltf, AppliesTheNodeTreeAndFlipsMirroredInstances) {
  const AssetFolder folder;
  json j = triangle_json();
  j["scenes"][0]["nodes"] = {0, 2};
  j["nodes"] = json::parse(R"([
    {"translation": [10, 0, 0], "scale": [2, 2, 2], "children": [1]},
    {"mesh": 0, "rotation": [0, 0, 0.7071067811865476, 0.7071067811865476]},
    {"mesh": 0, "matrix": [-1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,5,1]}])");
  const auto scene = folder.import("a.glb", glb(j, triangle_bytes()));
  ASSERT_TRUE(scene.ok()) << scene.status();
  ASSERT_EQ(scene->meshes.size(), 2u);
  // (1,0,0) turns to (0,1,0), doubles, moves: (10,2,0), which is (10,0,2) with Z up.
  EXPECT_NEAR(scene->meshes[0].positions[1][0], 10, 1e-5);
  EXPECT_NEAR(scene->meshes[0].positions[1][1], 0, 1e-5);
  EXPECT_NEAR(scene->meshes[0].positions[1][2], 2, 1e-5);
  EXPECT_EQ(scene->meshes[1].positions[1], (Vec3{-1, -5, 0}));
  EXPECT_EQ(scene->meshes[1].triangles[0], (Triangle{0, 2, 1}));
}

TEST(Gltf, TurnsNormalsAgainstNonUniformScale) {
  const AssetFolder folder;
  const float d = std::sqrt(0.5f);
  const std::string bytes = triangle_bytes() + std::string(2, '\0') + floats({d, d, 0, d, d, 0, 0, 0, 1});
  json j = triangle_json();
  j["buffers"][0]["byteLength"] = bytes.size();
  j["bufferViews"].push_back({{"buffer", 0}, {"byteOffset", 44}, {"byteLength", 36}});
  j["accessors"].push_back({{"bufferView", 2}, {"componentType", 5126}, {"count", 3}, {"type", "VEC3"}});
  j["meshes"][0]["primitives"][0]["attributes"]["NORMAL"] = 2;
  for (const double mirror : {1.0, -1.0}) {
    j["nodes"][0]["scale"] = {2, 1, mirror};
    const auto scene = folder.import("a.glb", glb(j, bytes));
    ASSERT_TRUE(scene.ok()) << scene.status();
    // (1,1,0) becomes (1/2,1,0); Y up becomes Z up.
    EXPECT_NEAR(scene->meshes[0].normals[0][0], std::sqrt(0.2), 1e-6);
    EXPECT_NEAR(scene->meshes[0].normals[0][2], std::sqrt(0.8), 1e-6);
    EXPECT_NEAR(scene->meshes[0].normals[2][1], -mirror, 1e-6);
  }
}

TEST(Gltf, ExpandsStripsAndFansAndLeavesOutLines) {
  const AssetFolder folder;
  const std::string bytes = floats({0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0});
  json j = triangle_json();
  j["buffers"][0]["byteLength"] = bytes.size();
  j["bufferViews"] = json::parse(R"([{"buffer": 0, "byteLength": 48}])");
  j["accessors"] = json::parse(R"([{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"}])");
  const std::vector<std::pair<int, std::vector<Triangle>>> rows = {
      {4, {{0, 1, 2}}}, {5, {{0, 1, 2}, {1, 3, 2}}}, {6, {{0, 1, 2}, {0, 2, 3}}}};
  for (const auto& [mode, triangles] : rows) {
    j["meshes"][0]["primitives"] = {{{"attributes", {{"POSITION", 0}}}, {"mode", mode}},
                                    {{"attributes", {{"POSITION", 0}}}, {"mode", 1}}};
    const auto scene = folder.import("a.glb", glb(j, bytes));
    ASSERT_TRUE(scene.ok()) << scene.status();
    EXPECT_EQ(scene->meshes[0].triangles, triangles) << mode;
  }
}

TEST(Gltf, DecodesStridedNormalisedAndSparseAccessors) {
  const AssetFolder folder;
  // Positions interleaved with u8 colours and i16 uvs: stride 20. Then a sparse index and value.
  std::string bytes;
  for (int v = 0; v < 3; ++v) {
    bytes += floats({float(v == 1), float(v == 2), 0}) + std::string{char(255), 0, char(51), char(255)};
    bytes += shorts({uint16_t(32767), uint16_t(-32767)});
  }
  bytes += shorts({2, 0}) + floats({7, 8, 9});
  json j = triangle_json();
  j["buffers"][0]["byteLength"] = bytes.size();
  j["bufferViews"] = json::parse(R"([{"buffer": 0, "byteLength": 60, "byteStride": 20},
    {"buffer": 0, "byteOffset": 60, "byteLength": 4}, {"buffer": 0, "byteOffset": 64, "byteLength": 12}])");
  j["accessors"] = json::parse(R"([
    {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "sparse": {"count": 1,
      "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2}}},
    {"bufferView": 0, "byteOffset": 12, "componentType": 5121, "normalized": true, "count": 3, "type": "VEC4"},
    {"bufferView": 0, "byteOffset": 16, "componentType": 5122, "normalized": true, "count": 3, "type": "VEC2"}])");
  j["meshes"][0]["primitives"] = {{{"attributes", {{"POSITION", 0}, {"COLOR_0", 1}, {"TEXCOORD_0", 2}}}}};
  const auto scene = folder.import("a.glb", glb(j, bytes));
  ASSERT_TRUE(scene.ok()) << scene.status();
  const Mesh& mesh = scene->meshes[0];
  EXPECT_EQ(mesh.positions[1], (Vec3{1, 0, 0}));
  EXPECT_EQ(mesh.positions[2], (Vec3{7, -9, 8}));
  EXPECT_EQ(mesh.colors[0], (Vec4{1, 0, 0.2f, 1}));
  EXPECT_EQ(mesh.uvs[0], (Vec2{1, -1}));
}

TEST(Gltf, SkinsAtTheRestPoseAndIgnoresTheMeshNodesTransform) {
  const AssetFolder folder;
  const std::string bytes = triangle_bytes() + std::string(2, '\0') + shorts({0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0}) +
                            floats({1, 0, 0, 0, 1, 0, 0, 0, 0.5f, 0.5f, 0, 0});
  json j = triangle_json();
  j["buffers"][0]["byteLength"] = bytes.size();
  j["bufferViews"].push_back({{"buffer", 0}, {"byteOffset", 44}, {"byteLength", 24}});
  j["bufferViews"].push_back({{"buffer", 0}, {"byteOffset", 68}, {"byteLength", 48}});
  j["accessors"].push_back({{"bufferView", 2}, {"componentType", 5123}, {"count", 3}, {"type", "VEC4"}});
  j["accessors"].push_back({{"bufferView", 3}, {"componentType", 5126}, {"count", 3}, {"type", "VEC4"}});
  j["meshes"][0]["primitives"][0]["attributes"].update({{"JOINTS_0", 2}, {"WEIGHTS_0", 3}});
  j["scenes"][0]["nodes"] = {0, 1, 2};
  j["nodes"] = json::parse(R"([{"mesh": 0, "skin": 0, "translation": [100, 0, 0]},
                               {"translation": [1, 0, 0]}, {"translation": [0, 4, 0]}])");
  j["skins"] = json::parse(R"([{"joints": [1, 2]}])");
  const auto scene = folder.import("a.glb", glb(j, bytes));
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].positions, (std::vector<Vec3>{{1, 0, 0}, {1, 0, 4}, {0.5f, 0, 4}}));
}

TEST(Gltf, AppliesMorphTargetsAtTheNodesWeights) {
  const AssetFolder folder;
  const std::string bytes = triangle_bytes() + std::string(2, '\0') + floats({1, 0, 0, 1, 0, 0, 1, 0, 0});
  json j = triangle_json();
  j["buffers"][0]["byteLength"] = bytes.size();
  j["bufferViews"].push_back({{"buffer", 0}, {"byteOffset", 44}, {"byteLength", 36}});
  j["accessors"].push_back({{"bufferView", 2}, {"componentType", 5126}, {"count", 3}, {"type", "VEC3"}});
  j["meshes"][0]["primitives"][0]["targets"] = {{{"POSITION", 2}}};
  j["meshes"][0]["weights"] = {0.25};
  EXPECT_EQ(folder.import("a.glb", glb(j, bytes))->meshes[0].positions[0], (Vec3{0.25f, 0, 0}));
  j["nodes"][0]["weights"] = {3};
  EXPECT_EQ(folder.import("b.glb", glb(j, bytes))->meshes[0].positions[0], (Vec3{3, 0, 0}));
}

// A textured triangle: uv accessor 2, image 0 a 4x4 RGBA PNG.
json textured(std::string& bytes) {
  bytes = triangle_bytes() + std::string(2, '\0') + floats({0, 0, 1, 0, 0.5f, 1});
  json j = triangle_json();
  j["bufferViews"].push_back({{"buffer", 0}, {"byteOffset", 44}, {"byteLength", 24}});
  j["accessors"].push_back({{"bufferView", 2}, {"componentType", 5126}, {"count", 3}, {"type", "VEC2"}});
  j["buffers"][0]["byteLength"] = bytes.size();
  j["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2;
  j["meshes"][0]["primitives"][0]["material"] = 0;
  j["images"] = {{{"uri", data_uri(png(4, 4, 4, 7), "image/png")}}};
  j["samplers"] = json::parse(R"([{"magFilter": 9728, "minFilter": 9728, "wrapS": 33071, "wrapT": 33648}])");
  j["textures"] = json::parse(R"([{"source": 0, "sampler": 0}])");
  j["materials"] = json::parse(R"([{"name": "m", "pbrMetallicRoughness": {"baseColorFactor": [0.1, 0.2, 0.3, 0.4],
    "metallicFactor": 0.6, "roughnessFactor": 0.7, "baseColorTexture": {"index": 0},
    "metallicRoughnessTexture": {"index": 0}}}])");
  return j;
}

TEST(Gltf, MapsMaterialsTexturesAndSamplers) {
  const AssetFolder folder;
  std::string bytes;
  json j = textured(bytes);
  const auto opaque = folder.import("a.glb", glb(j, bytes));
  ASSERT_TRUE(opaque.ok()) << opaque.status();
  const Material& m = opaque->materials[0];
  EXPECT_EQ(m.base_color, (Vec3{0.1f, 0.2f, 0.3f}));
  EXPECT_EQ(m.alpha, 1);  // OPAQUE ignores alpha
  EXPECT_FALSE(m.alpha_texture);
  EXPECT_FLOAT_EQ(m.metallic, 0.6f);
  EXPECT_EQ(m.metallic_texture->channel, 2);
  EXPECT_EQ(m.roughness_texture->channel, 1);
  EXPECT_EQ(m.base_color_texture->wrap_u, Wrap::kClamp);
  EXPECT_EQ(m.base_color_texture->wrap_v, Wrap::kMirror);
  EXPECT_EQ(m.base_color_texture->filter, Filter::kNearest);
  EXPECT_FALSE(m.double_sided);
  ASSERT_EQ(opaque->images.size(), 1u);
  EXPECT_EQ(opaque->images[0].pixels[5], 12);
  EXPECT_EQ(opaque->meshes[0].uvs[2], (Vec2{0.5f, 1}));

  j["materials"][0].update({{"alphaMode", "MASK"}, {"alphaCutoff", 0.25}, {"doubleSided", true}});
  const Material mask = folder.import("b.glb", glb(j, bytes))->materials[0];
  EXPECT_EQ(mask.alpha_mode, AlphaMode::kMask);
  EXPECT_EQ(mask.alpha_cutoff, 0.25f);
  EXPECT_FLOAT_EQ(mask.alpha, 0.4f);
  EXPECT_EQ(mask.alpha_texture->channel, 3);
  EXPECT_TRUE(mask.double_sided);
}

TEST(Gltf, UsesGltfsDefaultsForAMaterialWithoutValues) {
  const AssetFolder folder;
  json j = triangle_json();
  j["materials"] = {json::object()};
  j["meshes"][0]["primitives"][0]["material"] = 0;
  const Material m = folder.import("a.glb", glb(j, triangle_bytes()))->materials[0];
  EXPECT_EQ(m.base_color, (Vec3{1, 1, 1}));
  EXPECT_EQ(m.metallic, 1);
  EXPECT_EQ(m.roughness, 1);
}

TEST(Gltf, UnderstandsMaterialExtensions) {
  const AssetFolder folder;
  std::string bytes;
  json j = textured(bytes);
  j["extensionsRequired"] = {"KHR_materials_unlit", "KHR_texture_transform", "KHR_materials_pbrSpecularGlossiness"};
  j["materials"][0] = json::parse(R"({"emissiveFactor": [1, 0.5, 0],
    "extensions": {"KHR_materials_unlit": {}, "KHR_materials_emissive_strength": {"emissiveStrength": 4}},
    "pbrMetallicRoughness": {"baseColorTexture": {"index": 0,
      "extensions": {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [2, 4], "rotation": 1.5707963267948966}}}}})");
  const auto scene = folder.import("a.glb", glb(j, bytes));
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_TRUE(scene->materials[0].unlit);
  EXPECT_EQ(scene->materials[0].metallic, 0);
  EXPECT_EQ(scene->materials[0].emissive, (Vec3{4, 2, 0}));
  // (0.5, 1) scales to (1, 4), turns to (4, -1), moves to (4.5, -1).
  EXPECT_NEAR(scene->meshes[0].uvs[2][0], 4.5f, 1e-5);
  EXPECT_NEAR(scene->meshes[0].uvs[2][1], -1.0f, 1e-5);

  j["materials"][0] = json::parse(R"({"extensions": {"KHR_materials_pbrSpecularGlossiness":
    {"diffuseFactor": [0.5, 0.6, 0.7, 1], "glossinessFactor": 0.5, "specularGlossinessTexture": {"index": 0}}}})");
  const auto glossy = folder.import("b.glb", glb(j, bytes));
  ASSERT_TRUE(glossy.ok()) << glossy.status();
  const Material& m = glossy->materials[0];
  EXPECT_EQ(m.base_color, (Vec3{0.5f, 0.6f, 0.7f}));
  EXPECT_EQ(m.metallic, 0);
  ASSERT_TRUE(m.roughness_texture);
  EXPECT_EQ(glossy->images[m.roughness_texture->image].pixels[0], 250);  // 255 - 10 / 2
}

TEST(Gltf, KeepsGeometryWhenATextureIsMissingOrBroken) {
  const AssetFolder folder;
  std::string bytes;
  json j = textured(bytes);
  for (const std::string& uri : {std::string("none.png"), data_uri("not a png", "image/png")}) {
    j["images"][0]["uri"] = uri;
    const auto scene = folder.import("a.glb", glb(j, bytes));
    ASSERT_TRUE(scene.ok()) << scene.status();
    EXPECT_FALSE(scene->materials[0].base_color_texture);
    EXPECT_EQ(scene->warnings.size(), 1u);
  }
}

struct BadRow {
  const char* name;
  std::function<void(json&)> spoil;
  const char* code;
};

TEST(Gltf, RefusesBrokenAndHostileFilesWithACode) {
  const json overflow = 18446744073709551615u;
  const std::vector<BadRow> rows = {
      {"no version", [](json& j) { j["asset"].erase("version"); }, "UNREADABLE"},
      {"version 1", [](json& j) { j["asset"]["version"] = "1.0"; }, "UNSUPPORTED_FEATURE"},
      {"unknown required extension", [](json& j) { j["extensionsRequired"] = {"EXT_unknown"}; }, "UNSUPPORTED_FEATURE"},
      {"draco", [](json& j) { j["extensionsRequired"] = {"KHR_draco_mesh_compression"}; }, "UNSUPPORTED_FEATURE"},
      {"draco not required",
       [](json& j) {
         j["meshes"][0]["primitives"][0]["extensions"]["KHR_draco_mesh_compression"] = json::object();
         j["accessors"][0].erase("bufferView");
         j["accessors"][1].erase("bufferView");
       },
       "UNSUPPORTED_FEATURE"},
      {"meshopt", [](json& j) { j["extensionsRequired"] = {"EXT_meshopt_compression"}; }, "UNSUPPORTED_FEATURE"},
      {"buffer too short", [](json& j) { j["buffers"][0]["byteLength"] = 400; }, "UNREADABLE"},
      {"view outside", [](json& j) { j["bufferViews"][0]["byteOffset"] = 40; }, "UNREADABLE"},
      {"view offset near 2^64", [&](json& j) { j["bufferViews"][0]["byteOffset"] = overflow; }, "UNREADABLE"},
      {"accessor offset near 2^32", [](json& j) { j["accessors"][0]["byteOffset"] = 4294967292u; }, "UNREADABLE"},
      {"negative offset", [](json& j) { j["accessors"][0]["byteOffset"] = -4; }, "UNREADABLE"},
      {"accessor too long", [](json& j) { j["accessors"][0]["count"] = 4; }, "UNREADABLE"},
      {"huge count", [](json& j) { j["accessors"][0]["count"] = 4000000000u; }, "TOO_MANY_FACES"},
      {"huge empty accessor",
       [](json& j) {
         j["accessors"][0]["count"] = 50000000;
         j["accessors"][0].erase("bufferView");
       },
       "TOO_MANY_FACES"},
      {"count of the wrong type", [](json& j) { j["accessors"][0]["count"] = "3"; }, "UNREADABLE"},
      {"stride shorter than a row", [](json& j) { j["bufferViews"][0]["byteStride"] = 4; }, "UNREADABLE"},
      {"float indices", [](json& j) { j["accessors"][1]["componentType"] = 5126; }, "UNREADABLE"},
      {"missing accessor", [](json& j) { j["meshes"][0]["primitives"][0]["indices"] = 9; }, "UNREADABLE"},
      {"missing mesh", [](json& j) { j["nodes"][0]["mesh"] = 5; }, "UNREADABLE"},
      {"missing material", [](json& j) { j["meshes"][0]["primitives"][0]["material"] = 0; }, "UNREADABLE"},
      {"node is its own child", [](json& j) { j["nodes"][0]["children"] = {0}; }, "UNREADABLE"},
      {"child does not exist", [](json& j) { j["nodes"][0]["children"] = {1}; }, "UNREADABLE"},
      {"node with two parents",
       [](json& j) {
         j["nodes"].push_back({{"children", {0}}});
         j["scenes"][0]["nodes"] = {0, 1};
       },
       "UNREADABLE"},
      {"NaN as text",
       [](json& j) {
         j["nodes"][0]["translation"] = {1, 2};
       },
       "UNREADABLE"},
      {"no triangles", [](json& j) { j["meshes"][0]["primitives"][0]["mode"] = 0; }, "EMPTY_MESH"},
      {"empty scene", [](json& j) { j["scenes"][0]["nodes"] = json::array(); }, "EMPTY_MESH"},
      {"infinite transform",
       [](json& j) {
         j["nodes"][0]["scale"] = {1e39, 1, 1};
       },
       "NONFINITE_GEOMETRY"},
      {"file URI", [](json& j) { j["buffers"][0]["uri"] = "file:///etc/passwd"; }, "UNREADABLE"},
      {"http URI", [](json& j) { j["buffers"][0]["uri"] = "http://127.0.0.1/a.bin"; }, "UNREADABLE"},
      {"absolute path", [](json& j) { j["buffers"][0]["uri"] = "/etc/passwd"; }, "UNREADABLE"},
      {"authority", [](json& j) { j["buffers"][0]["uri"] = "//host/a.bin"; }, "UNREADABLE"},
      {"backslashes", [](json& j) { j["buffers"][0]["uri"] = "\\\\host\\a.bin"; }, "UNREADABLE"},
      {"parent folder", [](json& j) { j["buffers"][0]["uri"] = "../../../../etc/passwd"; }, "UNREADABLE"},
      {"encoded parent folder", [](json& j) { j["buffers"][0]["uri"] = "..%2f..%2f..%2fetc/passwd"; }, "UNREADABLE"},
      {"doubly encoded", [](json& j) { j["buffers"][0]["uri"] = "%252e%252e/a"; }, "UNREADABLE"},
      {"encoded NUL", [](json& j) { j["buffers"][0]["uri"] = "a%00.bin"; }, "UNREADABLE"},
      {"data URI of a page", [](json& j) { j["buffers"][0]["uri"] = "data:text/html;base64,AAAA"; }, "UNREADABLE"},
      {"missing buffer", [](json& j) { j["buffers"][0]["uri"] = "missing.bin"; }, "MISSING_COMPANION"},
  };
  const AssetFolder folder;
  for (const BadRow& row : rows) {
    json j = triangle_json();
    row.spoil(j);
    const auto scene = folder.import("a.glb", glb(j, triangle_bytes()));
    ASSERT_FALSE(scene.ok()) << row.name;
    EXPECT_EQ(import_error_code(scene.status()), row.code) << row.name << ": " << scene.status();
    EXPECT_THAT(std::string(scene.status().message()), HasSubstr("a.glb: ")) << row.name;
  }
}

TEST(Gltf, RefusesIndicesAndPositionsThatAreNotThere) {
  const AssetFolder folder;
  const std::string bad_index = floats({0, 0, 0, 1, 0, 0, 0, 2, 0}) + shorts({0, 1, 3});
  EXPECT_EQ(import_error_code(folder.import("a.glb", glb(triangle_json(), bad_index)).status()), "UNREADABLE");
  for (const float bad : {NAN, INFINITY, 2e9f}) {
    const std::string positions = floats({0, 0, 0, bad, 0, 0, 0, 2, 0}) + shorts({0, 1, 2});
    EXPECT_EQ(import_error_code(folder.import("a.glb", glb(triangle_json(), positions)).status()),
              "NONFINITE_GEOMETRY");
  }
}

TEST(Gltf, RefusesEveryTruncationOfAGlb) {
  const AssetFolder folder;
  const std::string whole = glb(triangle_json(), triangle_bytes());
  for (size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_FALSE(folder.import("a.glb", whole.substr(0, size)).ok()) << size;
    // Also with a header that says so.
    if (size < 12) continue;
    std::string lying = whole.substr(0, size);
    lying.replace(8, 4, little(static_cast<uint32_t>(size)));
    EXPECT_FALSE(folder.import("a.glb", lying).ok()) << size;
  }
}

TEST(Gltf, CountsInstancesBeforeExpandingThem) {
  const AssetFolder folder;
  json j = triangle_json();
  j["nodes"] = json::array();
  j["scenes"][0]["nodes"] = json::array();
  for (int i = 0; i < 1000; ++i) {
    j["nodes"].push_back({{"mesh", 0}});
    j["scenes"][0]["nodes"].push_back(i);
  }
  ImportOptions options;
  options.limits.max_faces = 999;
  EXPECT_EQ(import_error_code(folder.import("a.glb", glb(j, triangle_bytes()), options).status()), "TOO_MANY_FACES");
  options.limits.max_faces = 1000;
  EXPECT_TRUE(folder.import("a.glb", glb(j, triangle_bytes()), options).ok());
}

TEST(Gltf, BoundsTheDepthOfTheTree) {
  const AssetFolder folder;
  json j = triangle_json();
  j["nodes"] = json::array();
  for (int i = 0; i < 300; ++i) j["nodes"].push_back({{"children", {i + 1}}});
  j["nodes"].push_back({{"mesh", 0}});
  EXPECT_EQ(import_error_code(folder.import("a.glb", glb(j, triangle_bytes())).status()), "UNREADABLE");
}

TEST(Gltf, DoesNotFollowLinksOutOfTheRoot) {
  const AssetFolder folder, outside;
  outside.write("secret.bin", triangle_bytes());
  std::filesystem::create_symlink(outside.path() / "secret.bin", folder.path() / "link.bin");
  json j = triangle_json();
  j["buffers"][0]["uri"] = "link.bin";
  EXPECT_EQ(import_error_code(folder.import("a.gltf", j.dump()).status()), "UNREADABLE");
}

}  // namespace
}  // namespace espalier::mesh
