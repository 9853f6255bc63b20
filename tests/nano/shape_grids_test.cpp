#include "nano/shape_grids.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>

#include "common/files.h"
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

ShapeGrid grid_of(const mesh::Scene& scene, int resolution) {
  auto grid = shape_grid(scene, resolution);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

bool equal(const ShapeGrid& a, const ShapeGrid& b) {
  return a.coords.equal(b.coords) && a.vertices.equal(b.vertices) && a.flags.equal(b.flags);
}

TEST(ShapeGrid, HasTheSurfaceOfABox) {
  // Half the cube: its faces lie in the middle of voxels 8 and 23 of 32, 16 voxels apart less a hair.
  const ShapeGrid grid = grid_of(cuboid({0.47f, 0.47f, 0.47f}), 32);
  EXPECT_EQ(grid.coords.min().item<int>(), 8);
  EXPECT_EQ(grid.coords.max().item<int>(), 23);
  EXPECT_EQ(grid.voxels(), 16 * 16 * 16 - 14 * 14 * 14);
  EXPECT_LT(grid.flags.max().item<int>(), 8);
}

TEST(RandomCrop, IsThePartInsideAnAlignedCube) {
  const ShapeGrid grid = grid_of(cuboid({0.9f, 0.9f, 0.9f}), 64);
  PhiloxStream random(5);
  const ShapeGrid crop = random_crop(grid, 64, 32, random);
  ASSERT_GT(crop.voxels(), 0);
  EXPECT_LT(crop.coords.max().item<int>(), 32);
  bool found = false;  // moved back by whole latent cells it is a part of the grid
  for (int i = 0; i < 27; ++i) {
    const at::Tensor corner = at::tensor({i / 9 * 16, i / 3 % 3 * 16, i % 3 * 16}, at::TensorOptions(at::kInt));
    const at::Tensor moved = grid.coords.to(at::kInt) - corner;
    const at::Tensor rows = (moved.ge(0) & moved.lt(32)).all(1).nonzero().flatten();
    const ShapeGrid part{moved.index_select(0, rows).to(at::kByte), grid.vertices.index_select(0, rows),
                         grid.flags.index_select(0, rows)};
    found |= equal(part, crop);
  }
  EXPECT_TRUE(found);
}

TEST(ShapeBatch, KeepsSamplesApart) {
  const ShapeGrid grids[] = {grid_of(cuboid({0.5f, 0.2f, 0.3f}), 32), grid_of(cuboid({0.2f, 0.2f, 0.2f}), 32)};
  const nn::SparseTensor batch = shape_batch(grids);
  EXPECT_EQ(batch.offsets, (std::vector<int64_t>{0, grids[0].voxels(), grids[0].voxels() + grids[1].voxels()}));
  EXPECT_TRUE(batch.coords.narrow(0, grids[0].voxels(), grids[1].voxels()).narrow(1, 1, 3).equal(grids[1].coords));
  EXPECT_TRUE(batch.coords.select(1, 0).narrow(0, grids[0].voxels(), grids[1].voxels()).eq(1).all().item<bool>());
  EXPECT_EQ(batch.feats.size(1), 6);
}

TEST(LoadOrMakeShapeGrids, ReadsWhatItMadeAndMakesAnewWhatIsOfAnotherSeed) {
  const auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  const auto made = load_or_make_shape_grids(4, 2, 1, folder->path());
  const auto read = load_or_make_shape_grids(4, 2, 1, folder->path());
  const auto other = load_or_make_shape_grids(5, 2, 1, folder->path());
  ASSERT_TRUE(made.ok() && read.ok() && other.ok()) << made.status() << read.status() << other.status();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(equal((*made)[i], (*read)[i]));
    EXPECT_FALSE(equal((*made)[i], (*other)[i]));
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
