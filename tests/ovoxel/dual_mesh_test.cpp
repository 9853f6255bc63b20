#include "ovoxel/dual_mesh.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "golden_file.h"
#include "ovoxel/stored_dual_grid.h"
#include "shapes.h"

namespace espalier::ovoxel {
namespace {

StoredDualGrid stored(const Shape& shape, int32_t resolution) {
  const DualGrid grid = dual_grid(shape.positions, shape.triangles, Grid::cube(resolution)).value();
  return unpack_dual_grid(pack_dual_grid(grid, resolution).value()).value();
}

// A grid edge that a surface crosses twice has one flag, so even a closed mesh may give a surface with small gaps; this
// sphere crosses none twice.
TEST(DualMesh, OfASphereIsClosedAndCloseToIt) {
  const auto folder = golden_folder() / "ovoxel_fdg_sphere";
  const GoldenFile input(folder / "input.safetensors");
  Shape ball{input.rows<float, 3>("vertices"), input.rows<uint32_t, 3>("faces")};
  const int32_t resolution = nlohmann::json::parse(read_file(folder / "params.json").value())["grid_size"];
  const StoredDualGrid dual = stored(ball, resolution);
  const mesh::Surface surface = dual_mesh(dual.view(), Grid::cube(resolution)).value();
  const auto edges = edge_uses(surface.triangles);
  for (const auto& [edge, uses] : edges) EXPECT_EQ(uses, 2) << edge[0] << " " << edge[1];
  EXPECT_EQ(int64_t(surface.positions.size()) - int64_t(edges.size()) + int64_t(surface.triangles.size()), 2);
  for (const auto& p : surface.positions) EXPECT_NEAR(std::hypot(p[0], p[1], p[2]), 0.5, 0.5 / resolution);
}

// Four voxels around the grid edge along z at their common corner.
struct OneQuad {
  std::vector<Voxel> voxels = {{1, 1, 1}, {1, 2, 1}, {2, 2, 1}, {2, 1, 1}};
  std::vector<mesh::Vec3> vertices = std::vector<mesh::Vec3>(4, {0.5f, 0.5f, 0.5f});
  std::vector<uint8_t> intersected = {4, 0, 0, 0};
  std::vector<float> weights;

  Result<mesh::Surface> mesh() const { return dual_mesh({voxels, vertices, intersected, weights}, Grid::cube(4)); }
};

TEST(DualMesh, CutsQuadsByTheirWeights) {
  const std::vector<mesh::Triangle> along_02 = {{0, 1, 2}, {0, 2, 3}}, along_13 = {{0, 1, 3}, {3, 1, 2}};
  const std::vector<std::pair<std::vector<float>, std::vector<mesh::Triangle>>> rows = {
      {{2, 1, 2, 1}, along_02}, {{1, 2, 1, 2}, along_13}, {{1, 1, 1, 1}, along_13}, {{}, along_02}};
  for (const auto& [weights, triangles] : rows) {
    OneQuad quad;
    quad.weights = weights;
    EXPECT_EQ(quad.mesh()->triangles, triangles);
  }
}

TEST(DualMesh, WithoutWeightsAvoidsAFlatFirstTriangle) {
  OneQuad quad;
  quad.vertices[1] = {0.5f, -0.5f, 0.5f};  // on the vertex of voxel 0
  EXPECT_EQ(quad.mesh()->triangles, (std::vector<mesh::Triangle>{{0, 1, 3}, {3, 1, 2}}));
}

TEST(DualMesh, PutsVerticesInTheWorldAndKeepsUnusedOnes) {
  OneQuad quad;
  quad.intersected[0] = 0;
  quad.vertices[2] = {0, 0.25f, 1};
  const mesh::Surface surface = quad.mesh().value();
  EXPECT_TRUE(surface.triangles.empty());
  ASSERT_EQ(surface.positions.size(), 4u);
  EXPECT_EQ(surface.positions[2], (mesh::Vec3{0, 0.0625f, 0}));
}

TEST(DualMesh, LeavesOutQuadsWithAMissingVoxel) {
  OneQuad quad;
  quad.intersected = {7, 7, 7, 7};  // all but the first voxel's z edge lack a neighbour
  EXPECT_EQ(quad.mesh()->triangles.size(), 2u);
  quad.voxels[2] = {3, 3, 3};  // at the far end of the grid
  EXPECT_TRUE(quad.mesh()->triangles.empty());
}

TEST(DualMesh, WithCentersPutsAFanAroundTheWeightedMiddle) {
  OneQuad quad;
  quad.weights = {3, 1, 1, 1};
  quad.vertices[0] = {0.5f, 0.5f, 1};
  const mesh::Surface surface =
      dual_mesh_with_centers({quad.voxels, quad.vertices, quad.intersected, quad.weights}, Grid::cube(4)).value();
  EXPECT_EQ(surface.triangles, (std::vector<mesh::Triangle>{{0, 1, 4}, {1, 2, 4}, {2, 3, 4}, {3, 0, 4}}));
  // Diagonal 0-2 has its middle at z = 1.75 voxels and weight 3, diagonal 1-3 at 1.5 and weight 1.
  EXPECT_NEAR(surface.positions[4][2], (1.75 * 3 + 1.5) / 4 / 4 - 0.5, 1e-6);
}

TEST(DualMesh, IsTheSameForEveryThreadCount) {
  const StoredDualGrid dual = stored(sphere(0.45f), 256);
  ASSERT_GT(dual.voxels.size(), size_t{2} << 16);  // several tasks
  const mesh::Surface one = dual_mesh(dual.view(), Grid::cube(256), 1).value();
  const mesh::Surface five = dual_mesh(dual.view(), Grid::cube(256), 5).value();
  EXPECT_EQ(one.positions, five.positions);
  EXPECT_EQ(one.triangles, five.triangles);
}

TEST(DualMesh, RefusesWhatIsNotADualGrid) {
  const auto changed = [](auto change) {
    OneQuad quad;
    change(quad);
    return quad.mesh().status();
  };
  const std::vector<Status> rows = {
      changed([](OneQuad& q) { q.vertices.pop_back(); }),
      changed([](OneQuad& q) { q.intersected.pop_back(); }),
      changed([](OneQuad& q) {
        q.weights = {1, 1};
      }),
      changed([](OneQuad& q) {
        q.weights = {1, 1, NAN, 1};
      }),
      changed([](OneQuad& q) { q.vertices[1][2] = INFINITY; }),
      changed([](OneQuad& q) { q.voxels[1] = q.voxels[0]; }),
      changed([](OneQuad& q) { q.voxels[1][0] = -1; }),
      changed([](OneQuad& q) { q.voxels[1][0] = 4; }),
      dual_mesh_with_centers({OneQuad().voxels, OneQuad().vertices, OneQuad().intersected, {}}, Grid::cube(4)).status(),
      dual_mesh({}, Grid::cube(4096)).status(),
  };
  for (const Status& status : rows) EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(dual_mesh({}, Grid::cube(8))->triangles.empty());
}

TEST(StoredDualGrid, KeepsFlagsAndVerticesToOneStep) {
  const Shape ball = sphere(0.3f);
  const DualGrid grid = dual_grid(ball.positions, ball.triangles, Grid::cube(40)).value();
  const StoredDualGrid back = unpack_dual_grid(pack_dual_grid(grid, 40).value()).value();
  EXPECT_EQ(back.voxels, grid.voxels);
  EXPECT_EQ(back.intersected, grid.intersected);
  for (size_t i = 0; i < grid.voxels.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      const float local = grid.dual_vertices[i][a] * 40 - float(grid.voxels[i][a]);
      EXPECT_LE(back.vertices[i][a], local + 1e-5f);
      EXPECT_GT(back.vertices[i][a], local - 1.0f / 255 - 1e-5f);
    }
  }
}

TEST(StoredDualGrid, RefusesOtherTables) {
  const VoxelTable good{{{0, 0, 0}}, {{"vertices", 3, {1, 2, 3}}, {"intersected", 1, {7}}}};
  ASSERT_TRUE(unpack_dual_grid(good).ok());
  for (int row = 0; row < 4; ++row) {
    VoxelTable table = good;
    if (row == 0) table.attributes[0].name = "points";
    if (row == 1) table.attributes.pop_back();
    if (row == 2) table.attributes[1] = {"intersected", 2, {1, 1}};
    if (row == 3) table.attributes[1].values[0] = 8;
    EXPECT_EQ(unpack_dual_grid(table).status().code(), absl::StatusCode::kInvalidArgument) << row;
  }
  DualGrid outside{{{0, 0, 0}}, {{0.3f, 0, 0}}, {0}};
  EXPECT_EQ(pack_dual_grid(outside, 4).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace espalier::ovoxel
