#include "nano/paint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <tuple>

#include "nano/objects.h"
#include "nano/random_shapes.h"
#include "nano/solids.h"
#include "nano/voxel_grids.h"

namespace espalier::nano {
namespace {

VoxelGrid painted_box(std::span<const Paint> paints, int columns, const mesh::Vec3& u, const mesh::Vec3& v) {
  SceneBuilder builder;
  builder.add(mapped(box({1, 1, 1}), u, v), builder.add_tiles(paints, columns));
  auto grid = texture_grid(builder.take(), 64);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

// The share of voxels in which an attribute is (nearly) `value`.
double share(const VoxelGrid& grid, int64_t attribute, int value) {
  return (grid.values.select(1, attribute).to(at::kInt) - value).abs().le(2).to(at::kFloat).mean().item<double>();
}

// Of the voxels of a cube that is striped along z in two paints: half of four sides, and two caps.
constexpr double kFirst = 2.0 / 3;

TEST(AddTiles, MakesStripesOfAllAttributes) {
  const Paint paints[] = {{{1, 0.5f, 0}, 1, 0.2f}, {{0, 0.5f, 1}, 0, 0.8f}};
  const VoxelGrid grid = painted_box(paints, 2, {0, 0, 2}, {});
  for (const auto& [attribute, first, second] : {std::tuple{0, 255, 0}, {2, 0, 255}, {3, 255, 0}, {4, 51, 204}}) {
    EXPECT_NEAR(share(grid, attribute, first), kFirst, 0.02) << attribute;
    EXPECT_NEAR(share(grid, attribute, second), 1 - kFirst, 0.02) << attribute;
  }
  EXPECT_GT(share(grid, 1, 128), 0.99);
  EXPECT_GT(share(grid, 5, 255), 0.99) << "opaque";
  // Stripes run across z only: a layer of voxels has one colour, but for the box's edges and caps.
  const at::Tensor layer = grid.values.select(1, 0).masked_select(grid.coords.select(1, 2) == 8);
  EXPECT_EQ(layer.min().item<int>(), layer.max().item<int>());
}

TEST(AddTiles, IsTransparentWhereAPaintIs) {
  const Paint paints[] = {{{1, 1, 1}, 0, 0.5f, 0.4f}, {{1, 1, 1}, 0, 0.5f, 1}};
  const VoxelGrid grid = painted_box(paints, 2, {0, 0, 2}, {});
  EXPECT_NEAR(share(grid, 5, 102), kFirst, 0.02);
  EXPECT_NEAR(share(grid, 5, 255), 1 - kFirst, 0.02);
}

TEST(PaintAtRandom, IsValidAndAFunctionOfSeedAndIndex) {
  bool transparent = false, patterned = false;
  for (uint32_t index = 0; index < 16; ++index) {
    const auto scene = random_painted_shape(9, index), again = random_painted_shape(9, index);
    ASSERT_TRUE(scene.ok() && again.ok()) << scene.status();
    EXPECT_TRUE(mesh::validate(*scene).ok()) << mesh::validate(*scene);
    ASSERT_EQ(scene->images.size(), again->images.size());
    for (size_t i = 0; i < scene->images.size(); ++i) EXPECT_EQ(scene->images[i].pixels, again->images[i].pixels);
    for (const mesh::Material& material : scene->materials) transparent |= material.alpha_texture.has_value();
    for (const image::Image& image : scene->images) patterned |= image.width > 1;
  }
  EXPECT_TRUE(transparent);
  EXPECT_TRUE(patterned);
}

TEST(ColorByTextures, LeavesPatternsAlone) {
  const Paint paints[] = {{{0.2f, 0.4f, 0.6f}}};
  mesh::Scene scene;
  add_tiles(scene, paints, 1);
  color_by_textures(scene);
  EXPECT_EQ(scene.images.size(), 2u);
  EXPECT_EQ(scene.materials[0].base_color_texture->image, 0);
}

}  // namespace
}  // namespace espalier::nano
