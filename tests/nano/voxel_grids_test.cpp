#include "nano/voxel_grids.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>

#include "common/files.h"
#include "nano/latent_kinds.h"
#include "nano/objects.h"
#include "nano/random_shapes.h"
#include "nano/shape_evaluation.h"
#include "nano/solids.h"

namespace espalier::nano {
namespace {

mesh::Scene cuboid(const mesh::Vec3& size) {
  SceneBuilder builder;
  builder.add(box(size), builder.add_material({1, 1, 1}, 0, 1));
  return builder.take();
}

VoxelGrid grid_of(const mesh::Scene& scene, int resolution) {
  auto grid = shape_grid(scene, resolution);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

bool equal(const VoxelGrid& a, const VoxelGrid& b) { return a.coords.equal(b.coords) && a.values.equal(b.values); }

TEST(VoxelGrid, HasTheSurfaceOfABox) {
  // Half the cube: its faces lie in the middle of voxels 8 and 23 of 32, 16 voxels apart less a hair.
  const VoxelGrid grid = grid_of(cuboid({0.47f, 0.47f, 0.47f}), 32);
  EXPECT_EQ(grid.coords.min().item<int>(), 8);
  EXPECT_EQ(grid.coords.max().item<int>(), 23);
  EXPECT_EQ(grid.voxels(), 16 * 16 * 16 - 14 * 14 * 14);
  EXPECT_LT(grid.values.select(1, 3).max().item<int>(), 8);
}

TEST(RandomCrop, IsThePartInsideAnAlignedCube) {
  const VoxelGrid grid = grid_of(cuboid({0.9f, 0.9f, 0.9f}), 64);
  PhiloxStream random(5);
  const VoxelGrid crop = random_crop(grid, 64, 32, random);
  ASSERT_GT(crop.voxels(), 0);
  EXPECT_LT(crop.coords.max().item<int>(), 32);
  bool found = false;  // moved back by whole latent cells it is a part of the grid
  for (int i = 0; i < 27; ++i) {
    const at::Tensor corner = at::tensor({i / 9 * 16, i / 3 % 3 * 16, i % 3 * 16}, at::TensorOptions(at::kInt));
    const at::Tensor moved = grid.coords.to(at::kInt) - corner;
    const at::Tensor rows = (moved.ge(0) & moved.lt(32)).all(1).nonzero().flatten();
    const VoxelGrid part{moved.index_select(0, rows).to(at::kByte), grid.values.index_select(0, rows)};
    found |= equal(part, crop);
  }
  EXPECT_TRUE(found);
}

TEST(VoxelBatch, KeepsSamplesApart) {
  const VoxelGrid grids[] = {grid_of(cuboid({0.5f, 0.2f, 0.3f}), 32), grid_of(cuboid({0.2f, 0.2f, 0.2f}), 32)};
  const nn::SparseTensor batch = voxel_batch(kShape, grids);
  EXPECT_EQ(batch.offsets, (std::vector<int64_t>{0, grids[0].voxels(), grids[0].voxels() + grids[1].voxels()}));
  EXPECT_TRUE(batch.coords.narrow(0, grids[0].voxels(), grids[1].voxels()).narrow(1, 1, 3).equal(grids[1].coords));
  EXPECT_TRUE(batch.coords.select(1, 0).narrow(0, grids[0].voxels(), grids[1].voxels()).eq(1).all().item<bool>());
  EXPECT_EQ(batch.feats.size(1), 6);
}

TEST(TextureGrid, IsOnTheVoxelsOfTheShape) {
  const mesh::Scene scene = make_object(3, 1).scene;  // of several overlapping parts
  const auto texture = texture_grid(scene, 64);
  ASSERT_TRUE(texture.ok()) << texture.status();
  EXPECT_TRUE(texture->coords.equal(grid_of(scene, 64).coords));
  EXPECT_EQ(texture->values.size(1), 6);
}

TEST(TextureGrid, HasColoursAsImagesStoreThem) {
  SceneBuilder builder;
  builder.add(box({0.5f, 0.5f, 0.5f}), builder.add_material({0.2140f, 1, 0}, 1, 0.2f));  // linear
  const auto texture = texture_grid(builder.take(), 32);
  ASSERT_TRUE(texture.ok()) << texture.status();
  const int expected[] = {127, 255, 0, 255, 51, 255};  // 0.2140 is 0.5 in sRGB; bytes are cut off
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(texture->values.select(1, i).min().item<int>(), expected[i], 1) << i;
    EXPECT_NEAR(texture->values.select(1, i).max().item<int>(), expected[i], 1) << i;
  }
}

TEST(LoadOrMakeVaeGrids, ReadsWhatItMadeAndMakesAnewWhatIsOfAnotherSeedOrKind) {
  const auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  const auto made = load_or_make_vae_grids(kShape, 4, 2, 1, folder->path());
  const auto read = load_or_make_vae_grids(kShape, 4, 2, 1, folder->path());
  const auto other = load_or_make_vae_grids(kShape, 5, 2, 1, folder->path());
  const auto textures = load_or_make_vae_grids(kTexture, 5, 2, 1, folder->path());
  ASSERT_TRUE(made.ok() && read.ok()) << made.status() << read.status();
  ASSERT_TRUE(other.ok() && textures.ok()) << other.status() << textures.status();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(equal((*made)[i], (*read)[i]));
    EXPECT_FALSE(equal((*made)[i], (*other)[i]));
    EXPECT_EQ((*textures)[i].values.size(1), 6);
  }
}

TEST(RandomField, HasAClosedSurface) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    PhiloxStream random(seed);
    const auto mesh = surface_of(RandomField(random), 24);
    ASSERT_TRUE(mesh.ok()) << mesh.status();
    std::map<std::pair<uint32_t, uint32_t>, int> uses;
    for (const mesh::Triangle& t : mesh->triangles) {
      for (size_t i = 0; i < 3; ++i) ++uses[std::minmax(t[i], t[(i + 1) % 3])];
    }
    for (const auto& [edge, count] : uses) ASSERT_EQ(count % 2, 0) << "seed " << seed;
  }
}

TEST(GridAgreement, TellsVoxelsFlagsAndVerticesApart) {
  const infer::DecodedShape want = as_decoded(grid_of(cuboid({0.47f, 0.47f, 0.47f}), 32), 32);
  const GridAgreement self = grid_agreement(want, want);
  EXPECT_DOUBLE_EQ(self.f1, 1);
  EXPECT_NEAR(self.f1_within_one, 1, 1e-6);
  EXPECT_DOUBLE_EQ(self.flags, 1);
  EXPECT_DOUBLE_EQ(self.vertex_distance, 0);

  infer::DecodedShape shifted = want, turned = want;
  for (auto& voxel : shifted.voxels) ++voxel[2];
  const GridAgreement beside = grid_agreement(shifted, want);
  EXPECT_LT(beside.f1, 0.9);
  EXPECT_NEAR(beside.f1_within_one, 1, 1e-6);

  for (auto& flags : turned.intersected) flags ^= 1;
  for (auto& vertex : turned.vertices) vertex[1] += 0.25f;
  const GridAgreement changed = grid_agreement(turned, want);
  EXPECT_NEAR(changed.flags, 2.0 / 3, 1e-9);
  EXPECT_NEAR(changed.vertex_distance, 0.25, 1e-6);
}

TEST(MeshAgreement, OfAShapeWithItselfIsPerfect) {
  const infer::DecodedShape shape = as_decoded(grid_of(cuboid({0.6f, 0.4f, 0.5f}), 32), 32);
  const auto agreement = mesh_agreement(shape, shape);
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_NEAR(agreement->chamfer, 0, 1e-6);
  EXPECT_NEAR(agreement->f_score, 1, 1e-9);
}

}  // namespace
}  // namespace espalier::nano
