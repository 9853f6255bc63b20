#include "ovoxel/pbr_voxels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "ovoxel/dual_grid.h"
#include "shapes.h"

namespace espalier::ovoxel {
namespace {

constexpr int32_t kSide = 8;
constexpr int32_t kLayer = 4;  // the voxels of square()
// A mean of equal bytes may truncate to the byte below.
constexpr int kTruncation = 1;

image::Image filled(int width, int height, std::vector<uint8_t> pixel) {
  image::Image out{width, height, static_cast<int>(pixel.size()), {}};
  for (int i = 0; i < width * height; ++i) out.pixels.insert(out.pixels.end(), pixel.begin(), pixel.end());
  return out;
}

image::Image checkerboard(int side) {
  image::Image out = filled(side, side, {0, 0, 0});
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) std::fill_n(out.at(x, y), 3, (x + y) % 2 ? 255 : 0);
  }
  return out;
}

mesh::Texture texture(int image, int channel = 0) {
  mesh::Texture out;
  out.image = image;
  out.channel = channel;
  return out;
}

// The middle of layer kLayer of a grid of kSide voxels, u along x and v along y, with one material.
mesh::Scene square(const mesh::Material& material, std::vector<image::Image> images = {}) {
  mesh::Scene scene;
  scene.materials = {material};
  scene.images = std::move(images);
  mesh::Mesh& mesh = scene.meshes.emplace_back();
  const float z = 0.5f / kSide;
  mesh.positions = {{-0.5f, -0.5f, z}, {0.5f, -0.5f, z}, {0.5f, 0.5f, z}, {-0.5f, 0.5f, z}};
  mesh.uvs = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
  mesh.triangles = {{0, 1, 2}, {0, 2, 3}};
  mesh.material_ids = {0, 0};
  return scene;
}

// The same surface a second time with another material.
void cover(mesh::Scene& scene, const mesh::Material& material) {
  mesh::Mesh copy = scene.meshes[0];
  copy.material_ids.assign(copy.triangles.size(), static_cast<int32_t>(scene.materials.size()));
  scene.materials.push_back(material);
  scene.meshes.push_back(std::move(copy));
}

VoxelTable convert(const mesh::Scene& scene, int32_t resolution = kSide) {
  auto out = pbr_voxels(scene, resolution);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.ok() ? *out : VoxelTable{};
}

void expect_all(const VoxelTable& table, const char* name, int value, int tolerance = kTruncation) {
  ASSERT_FALSE(table.voxels.empty());
  for (const uint8_t byte : table.attribute(name)->values) ASSERT_NEAR(byte, value, tolerance) << name;
}

// A texture whose red and green tell the column and the row.
image::Image coordinates() {
  image::Image out = filled(kSide, kSide, {0, 0, 200});
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      out.at(x, y)[0] = static_cast<uint8_t>(20 * x + 5);
      out.at(x, y)[1] = static_cast<uint8_t>(20 * y + 7);
    }
  }
  return out;
}

TEST(PbrVoxels, TakeTheTexelUnderTheirCentre) {
  mesh::Material material;
  material.base_color_texture = texture(0);
  for (const auto filter : {mesh::Filter::kLinear, mesh::Filter::kNearest}) {
    material.base_color_texture->filter = filter;
    const VoxelTable got = convert(square(material, {coordinates()}));
    ASSERT_EQ(got.voxels.size(), size_t{kSide * kSide});
    for (size_t i = 0; i < got.voxels.size(); ++i) {
      const Voxel& v = got.voxels[i];
      EXPECT_EQ(v[2], kLayer);
      const uint8_t* color = &got.attributes[0].values[i * 3];
      EXPECT_NEAR(color[0], 20 * v[0] + 5, kTruncation);
      EXPECT_NEAR(color[1], 20 * v[1] + 7, kTruncation);  // row 0 is at v = 0
      EXPECT_NEAR(color[2], 200, kTruncation);
    }
  }
}

TEST(PbrVoxels, HaveTheAttributesOfTheFileFormatInItsOrder) {
  const VoxelTable got = convert(square({}));
  const std::pair<const char*, size_t> want[] = {{"base_color", 3}, {"metallic", 1}, {"roughness", 1}, {"alpha", 1}};
  ASSERT_EQ(got.attributes.size(), std::size(want));
  for (size_t a = 0; a < std::size(want); ++a) {
    EXPECT_EQ(got.attributes[a].name, want[a].first);
    EXPECT_EQ(got.attributes[a].channels, want[a].second);
    EXPECT_EQ(got.attributes[a].values.size(), got.voxels.size() * want[a].second);
  }
  EXPECT_TRUE(encode_vxz(got, {VxzCodec::kZstd, 1}).ok());
}

TEST(PbrVoxels, TruncateFactors) {
  mesh::Material material;
  material.base_color = {0.5f, 0.5f, 0.5f};
  material.metallic = 1;
  material.roughness = 0.25f;
  const VoxelTable got = convert(square(material));
  expect_all(got, "base_color", 127, 0);
  expect_all(got, "metallic", 255);
  expect_all(got, "roughness", 63, 0);
  expect_all(got, "alpha", 255);
}

TEST(PbrVoxels, WithoutAMaterialAreGrey) {
  mesh::Scene scene = square({});
  scene.meshes[0].material_ids = {-1, -1};
  const VoxelTable got = convert(scene);
  expect_all(got, "base_color", 204);
  expect_all(got, "metallic", 0, 0);
  expect_all(got, "roughness", 127);
  expect_all(got, "alpha", 255);
}

TEST(PbrVoxels, MultiplyStoredBytesByFactors) {
  mesh::Material material;
  material.base_color = {0.5f, 0.5f, 0.5f};
  material.base_color_texture = texture(0);
  material.metallic = material.roughness = 0.5f;
  material.metallic_texture = texture(1, 2);
  material.roughness_texture = texture(1, 1);
  const VoxelTable got = convert(square(material, {filled(4, 4, {200}), filled(2, 2, {9, 100, 60})}));
  expect_all(got, "base_color", 100);  // a grey image has three equal channels
  expect_all(got, "metallic", 30);
  expect_all(got, "roughness", 50);
}

struct AlphaRow {
  mesh::AlphaMode mode;
  float factor, cutoff;
  int texel;  // -1: no texture
  int want;
};

TEST(PbrVoxels, FollowTheAlphaMode) {
  using enum mesh::AlphaMode;
  const AlphaRow rows[] = {
      {kOpaque, 0.3f, 0.5f, -1, 255}, {kBlend, 0.3f, 0.5f, -1, 76}, {kMask, 0.3f, 0.5f, -1, 0},
      {kMask, 0.7f, 0.5f, -1, 255},   {kOpaque, 1, 0.5f, 128, 128},  // a texture makes it blend
      {kBlend, 0.5f, 0.5f, 128, 64},  {kMask, 1, 0.5f, 100, 0},     {kMask, 1, 0.3f, 100, 255},
  };
  for (const AlphaRow& row : rows) {
    mesh::Material material;
    material.alpha_mode = row.mode;
    material.alpha = row.factor;
    material.alpha_cutoff = row.cutoff;
    if (row.texel >= 0) material.alpha_texture = texture(0, 3);
    const auto byte = static_cast<uint8_t>(std::max(row.texel, 0));
    SCOPED_TRACE(testing::Message() << "mode " << static_cast<int>(row.mode) << " texel " << row.texel);
    expect_all(convert(square(material, {filled(4, 4, {1, 2, 3, byte})})), "alpha", row.want);
  }
}

TEST(PbrVoxels, ThresholdEachSampleBeforeTheMean) {
  mesh::Material clear, solid;
  clear.alpha_mode = solid.alpha_mode = mesh::AlphaMode::kMask;
  clear.alpha = 0.4f;
  mesh::Scene scene = square(clear);
  cover(scene, solid);
  expect_all(convert(scene), "alpha", 127);
}

TEST(PbrVoxels, AreTheMeanOverTheirTriangles) {
  mesh::Material red, blue;
  red.base_color = {1, 0, 0};
  blue.base_color = {0, 0, 0.5f};
  mesh::Scene scene = square(red);
  cover(scene, blue);
  const VoxelTable got = convert(scene);
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    EXPECT_NEAR(got.attributes[0].values[i * 3], 127, kTruncation);
    EXPECT_NEAR(got.attributes[0].values[i * 3 + 2], 63, kTruncation);
  }
}

TEST(PbrVoxels, WrapTheTexturesBesideTheUnitSquare) {
  struct Row {
    mesh::Wrap u, v;
    int left, right;  // of the texture's second copy
  };
  using enum mesh::Wrap;
  const Row rows[] = {{kRepeat, kRepeat, 10, 210},
                      {kMirror, kMirror, 210, 10},
                      {kClamp, kClamp, 210, 210},
                      {kRepeat, kMirror, 210, 210}};  // unequal modes clamp
  image::Image halves = filled(2, 2, {10, 10, 10});
  for (int y = 0; y < 2; ++y) std::fill_n(halves.at(1, y), 3, 210);
  for (const Row& row : rows) {
    mesh::Material material;
    material.base_color_texture = texture(0);
    material.base_color_texture->filter = mesh::Filter::kNearest;
    material.base_color_texture->wrap_u = row.u;
    material.base_color_texture->wrap_v = row.v;
    mesh::Scene scene = square(material, {halves});
    for (mesh::Vec2& uv : scene.meshes[0].uvs) uv = {1 + uv[0], 0.5f};
    const VoxelTable got = convert(scene);
    for (size_t i = 0; i < got.voxels.size(); ++i) {
      EXPECT_NEAR(got.attributes[0].values[i * 3], got.voxels[i][0] < kSide / 2 ? row.left : row.right, kTruncation);
    }
  }
}

TEST(PbrVoxels, SeeFineTexturesThroughTheirMipLevels) {
  mesh::Material material;
  material.base_color_texture = texture(0);
  expect_all(convert(square(material, {checkerboard(64)})), "base_color", 127);
  material.base_color_texture->filter = mesh::Filter::kNearest;
  const VoxelTable nearest = convert(square(material, {checkerboard(64)}));
  for (const uint8_t byte : nearest.attributes[0].values) {
    EXPECT_TRUE(byte == 0 || byte >= 254) << int{byte};
  }
}

TEST(PbrVoxels, MixTheLevelsBetweenWhichAVoxelLies) {
  // Black and white columns: level 0 at texel centres is black or white, level 1 grey. A voxel of sqrt(2) texels lies
  // halfway between both.
  image::Image stripes = filled(8, 8, {0, 0, 0});
  for (int y = 0; y < 8; ++y) {
    for (int x = 1; x < 8; x += 2) std::fill_n(stripes.at(x, y), 3, 255);
  }
  mesh::Material material;
  material.base_color_texture = texture(0);
  mesh::Scene scene = square(material, {stripes});
  for (mesh::Vec2& uv : scene.meshes[0].uvs) uv = {uv[0], 2 * uv[1]};
  const VoxelTable got = convert(scene);
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    EXPECT_NEAR(got.attributes[0].values[i * 3], got.voxels[i][0] % 2 ? 191 : 63, 2);
  }
}

TEST(PbrVoxels, TakeTexturesOfAnyShape) {
  for (const auto& [width, height] : {std::pair{6, 5}, {1, 300}, {1000, 3}, {1, 1}}) {
    mesh::Material material;
    material.base_color_texture = texture(0);
    material.alpha_texture = texture(0, 3);
    const VoxelTable got = convert(square(material, {filled(width, height, {90, 90, 90, 40})}));
    expect_all(got, "base_color", 90);
    expect_all(got, "alpha", 40);
  }
}

TEST(PbrVoxels, SampleSmallerTexturesWhenThereAreTooManyTexels) {
  mesh::Material material;
  material.base_color_texture = texture(0);
  material.base_color_texture->filter = mesh::Filter::kNearest;
  const mesh::Scene scene = square(material, {checkerboard(256)});
  PbrVoxelOptions options;
  options.max_texels = 100;
  expect_all(pbr_voxels(scene, kSide, options).value(), "base_color", 127, 3);
  options.max_texels = 0;  // one texel each
  expect_all(pbr_voxels(scene, kSide, options).value(), "base_color", 127, 3);
}

TEST(PbrVoxels, MultiplyVertexColours) {
  mesh::Material material;
  material.alpha_mode = mesh::AlphaMode::kBlend;
  mesh::Scene scene = square(material);
  scene.meshes[0].colors.assign(4, {0.5f, 0.5f, 0.5f, 0.25f});
  VoxelTable got = convert(scene);
  expect_all(got, "base_color", 127, 0);
  expect_all(got, "alpha", 63, 0);
  scene.materials[0].alpha_mode = mesh::AlphaMode::kOpaque;
  scene.meshes[0].colors.assign(4, {NAN, -1, INFINITY, 7});
  got = convert(scene);
  expect_all(got, "alpha", 255);
}

TEST(PbrVoxels, SurviveAnyUv) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  const mesh::Vec2 bad[] = {{kNan, kNan}, {kInf, 0}, {0, -kInf}, {1e38f, -1e38f}, {3e9f, 2}, {1e-38f, 0}};
  for (const auto filter : {mesh::Filter::kLinear, mesh::Filter::kNearest}) {
    for (const auto wrap : {mesh::Wrap::kRepeat, mesh::Wrap::kMirror, mesh::Wrap::kClamp}) {
      for (const mesh::Vec2& uv : bad) {
        mesh::Material material;
        material.base_color_texture = texture(0);
        material.base_color_texture->filter = filter;
        material.base_color_texture->wrap_u = material.base_color_texture->wrap_v = wrap;
        mesh::Scene scene = square(material, {filled(16, 16, {70, 70, 70})});
        scene.meshes[0].uvs = {uv, {0.5f, 0.5f}, uv, {1, 1}};
        expect_all(convert(scene), "base_color", 70);
        scene.meshes[0].uvs.assign(4, uv);
        expect_all(convert(scene), "base_color", 70);
      }
    }
  }
}

TEST(PbrVoxels, WithoutUvsTakeTheBottomLeftTexel) {
  image::Image image = filled(2, 2, {0, 0, 0});
  std::fill_n(image.at(0, 1), 3, 120);
  mesh::Material material;
  material.base_color_texture = texture(0);
  material.base_color_texture->filter = mesh::Filter::kNearest;
  material.base_color_texture->wrap_u = material.base_color_texture->wrap_v = mesh::Wrap::kClamp;
  mesh::Scene scene = square(material, {image});
  scene.meshes[0].uvs.clear();
  expect_all(convert(scene), "base_color", 120);
}

TEST(PbrVoxels, OfTrianglesWithoutAreaHaveTheirMaterialOnlyWhereNothingElseIs) {
  mesh::Material good, bad;
  good.base_color = {0.2f, 0.2f, 0.2f};
  bad.base_color = {1, 1, 1};
  mesh::Scene scene = square(bad);
  mesh::Mesh& mesh = scene.meshes[0];
  mesh.positions.clear();
  mesh.triangles.clear();
  mesh.uvs.clear();
  std::mt19937 random(5);
  std::uniform_real_distribution<float> unit(-0.5f, 0.5f);
  for (uint32_t t = 0; t < 400; ++t) {  // on the diagonal of the grid, where rounding decides about hits
    for (int k = 0; k < 3; ++k) {
      const float x = unit(random);
      mesh.positions.push_back({x, x, 0.5f / kSide});
    }
    mesh.triangles.push_back({3 * t, 3 * t + 1, 3 * t + 2});
  }
  mesh.material_ids.assign(mesh.triangles.size(), 0);
  expect_all(convert(scene), "base_color", 255);
  mesh::Scene both = square(good);
  mesh.material_ids.assign(mesh.triangles.size(), 1);
  both.materials.push_back(bad);
  both.meshes.push_back(mesh);
  expect_all(convert(both), "base_color", 51);
}

// Spheres, a sheet and crossing triangles with textures, one of them coloured.
mesh::Scene mixture() {
  mesh::Scene scene;
  scene.images = {checkerboard(64), filled(20, 30, {10, 200, 90}), filled(8, 8, {1, 2, 3, 120})};
  for (int m = 0; m < 3; ++m) {
    mesh::Material& material = scene.materials.emplace_back();
    material.base_color_texture = texture(m);
    material.roughness_texture = texture(1, 1);
    if (m == 2) material.alpha_texture = texture(2, 3);
  }
  const Shape shapes[] = {sphere(0.45f), sheet(), soup(80, 4)};
  for (int32_t m = 0; m < 3; ++m) {
    const Shape& shape = shapes[m];
    mesh::Mesh& mesh = scene.meshes.emplace_back();
    mesh.positions = shape.positions;
    mesh.triangles = shape.triangles;
    mesh.material_ids.assign(shape.triangles.size(), m - (m == 1));
    for (const auto& p : shape.positions) mesh.uvs.push_back({3 * p[0] + p[2], 2 * p[1]});
    if (m == 1) mesh.colors.assign(shape.positions.size(), {1, 0.5f, 0.25f, 1});
  }
  return scene;
}

TEST(PbrVoxels, AreTheSameForEveryThreadCount) {
  const mesh::Scene scene = mixture();
  PbrVoxelOptions one, seven;
  one.threads = 1;
  seven.threads = 7;
  const VoxelTable a = pbr_voxels(scene, 100, one).value(), b = pbr_voxels(scene, 100, seven).value();
  EXPECT_EQ(a.voxels, b.voxels);
  for (size_t i = 0; i < a.attributes.size(); ++i) EXPECT_EQ(a.attributes[i].values, b.attributes[i].values);
}

TEST(PbrVoxels, AreTheVoxelsOfTheDualGrid) {
  const mesh::Scene scene = mixture();
  const mesh::Surface surface = welded(scene);
  for (const int32_t resolution : {1, 2, 33, 64}) {
    const DualGrid grid = dual_grid(surface.positions, surface.triangles, Grid::cube(resolution)).value();
    EXPECT_EQ(pbr_voxels(scene, resolution)->voxels, grid.voxels) << resolution;
  }
}

TEST(PbrVoxels, OfNothingAreNone) {
  const VoxelTable got = pbr_voxels({}, kSide).value();
  EXPECT_TRUE(got.voxels.empty());
  EXPECT_EQ(got.attributes.size(), 4u);
}

TEST(PbrVoxels, RefuseWhatTheyCannotConvert) {
  const mesh::Scene good = square({});
  mesh::Scene id = good, uvs = good, index = good, image = good;
  id.meshes[0].material_ids[0] = 1;
  uvs.meshes[0].uvs.pop_back();
  index.meshes[0].triangles[0][0] = 4;
  image.materials[0].base_color_texture = texture(0);
  for (const mesh::Scene& scene : {id, uvs, index, image}) {
    EXPECT_EQ(pbr_voxels(scene, kSide).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(pbr_voxels(good, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pbr_voxels(good, 2049).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::ovoxel
