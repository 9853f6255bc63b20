#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "mesh/normalize.h"
#include "ovoxel/active_voxels.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/stored_dual_grid.h"
#include "shapes.h"

// Meshes as strangers make them, through conversion, storage and extraction.
namespace espalier::ovoxel {
namespace {

constexpr int32_t kResolution = 40;

// Three fins on one common edge.
Shape fins() {
  Shape out;
  out.positions = {{0, 0, -0.4f}, {0, 0, 0.4f}, {0.35f, 0.1f, 0}, {-0.3f, 0.25f, 0.1f}, {-0.1f, -0.4f, -0.1f}};
  out.triangles = {{0, 1, 2}, {0, 1, 3}, {1, 0, 4}};
  return out;
}

Shape two_balls() {
  Shape out = moved(sphere(0.25f), {-0.1f, 0, 0});
  out.append(moved(sphere(0.25f), {0.12f, 0.03f, 0.01f}));
  return out;
}

Shape with_degenerate_triangles() {
  Shape out = sphere(0.4f);
  const auto base = static_cast<uint32_t>(out.positions.size());
  out.positions.insert(out.positions.end(), {{-0.4f, 0, 0}, {0, 0, 0}, {0.4f, 0, 0}, {0.1f, 0.1f, 0.1f}});
  out.triangles.insert(out.triangles.end(), {{base, base + 1, base + 2},  // on a line
                                             {base, base, base + 2},      // an edge
                                             {base + 3, base + 3, base + 3}});
  const auto copies = std::vector<mesh::Triangle>(out.triangles.begin(), out.triangles.begin() + 50);
  out.triangles.insert(out.triangles.end(), copies.begin(), copies.end());  // each of these twice
  return out;
}

Shape needles() {
  Shape out;
  for (uint32_t i = 0; i < 20; ++i) {
    const float y = -0.4f + 0.04f * static_cast<float>(i);
    out.positions.insert(out.positions.end(), {{-0.45f, y, y}, {0.45f, y, -y}, {0.45f, y + 0.01f, 0.01f - y}});
    out.triangles.push_back({3 * i, 3 * i + 1, 3 * i + 2});
  }
  return out;
}

// Everything in planes of the grid.
Shape block_in_grid_planes() {
  Shape out;
  for (int corner = 0; corner < 8; ++corner) {
    out.positions.push_back({corner & 1 ? 0.25f : -0.25f, corner & 2 ? 0.5f : -0.5f, corner & 4 ? 0.25f : -0.25f});
  }
  out.triangles = {{0, 1, 3}, {0, 3, 2}, {4, 6, 7}, {4, 7, 5}, {0, 4, 5}, {0, 5, 1},
                   {2, 3, 7}, {2, 7, 6}, {0, 2, 6}, {0, 6, 4}, {1, 5, 7}, {1, 7, 3}};
  return out;
}

struct Row {
  const char* name;
  Shape (*shape)();
  bool quads;  // whether a surface comes out
};

class AnyMesh : public testing::TestWithParam<Row> {};

TEST_P(AnyMesh, GivesASoundDualGridAndSurface) {
  const Shape shape = GetParam().shape();
  const Grid grid = Grid::cube(kResolution);
  const auto dual = dual_grid(shape.positions, shape.triangles, grid);
  ASSERT_TRUE(dual.ok()) << dual.status();
  EXPECT_EQ(dual->voxels, active_voxels(shape.positions, shape.triangles, grid).value());
  EXPECT_TRUE(std::is_sorted(dual->voxels.begin(), dual->voxels.end()));
  const auto table = pack_dual_grid(*dual, kResolution);  // checks that every vertex is in its voxel
  ASSERT_TRUE(table.ok()) << table.status();
  const auto surface = dual_mesh(unpack_dual_grid(*table)->view(), grid);
  ASSERT_TRUE(surface.ok()) << surface.status();
  EXPECT_EQ(surface->triangles.empty(), !GetParam().quads);
  for (const auto& p : surface->positions) {
    for (const float x : p) EXPECT_LE(std::abs(x), 0.5f);
  }
  for (const auto& t : surface->triangles) EXPECT_LT(std::max({t[0], t[1], t[2]}), surface->positions.size());
}

TEST_P(AnyMesh, IsTheSameForEveryThreadCount) {
  const Shape shape = GetParam().shape();
  DualGridOptions one, seven;
  one.threads = 1;
  seven.threads = 7;
  const auto a = dual_grid(shape.positions, shape.triangles, Grid::cube(100), one).value();
  const auto b = dual_grid(shape.positions, shape.triangles, Grid::cube(100), seven).value();
  EXPECT_EQ(a.voxels, b.voxels);
  EXPECT_EQ(a.dual_vertices, b.dual_vertices);
  EXPECT_EQ(a.intersected, b.intersected);
}

INSTANTIATE_TEST_SUITE_P(Robustness, AnyMesh,
                         testing::Values(Row{"Fins", fins, true}, Row{"OpenSheet", [] { return sheet(); }, true},
                                         Row{"CrossingBalls", two_balls, true},
                                         Row{"Degenerate", with_degenerate_triangles, true},
                                         Row{"Needles", needles, true}, Row{"InGridPlanes", block_in_grid_planes, true},
                                         Row{"SoupBeyondTheGrid", [] { return soup(60, 1); }, true},
                                         Row{"OutsideTheGrid",
                                             [] {
                                               return moved(sphere(0.4f), {5, 0, 0});
                                             },
                                             false},
                                         Row{"SmallerThanAVoxel",
                                             [] {
                                               return moved(sphere(0.004f), {0.013f, 0.012f, 0.013f});
                                             },
                                             false},
                                         Row{"Nothing", [] { return Shape(); }, false}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(DualGrid, OfAnOpenSheetHasAnOpenSurfaceWithoutHoles) {
  Shape shape = sheet();
  // A plane through no corner of the grid crosses each grid edge at most once.
  for (auto& p : shape.positions) p[2] = 0.31f * p[0] + 0.17f * p[1] + 0.0043f;
  const DualGrid dual = dual_grid(shape.positions, shape.triangles, Grid::cube(64)).value();
  const mesh::Surface surface =
      dual_mesh(unpack_dual_grid(pack_dual_grid(dual, 64).value())->view(), Grid::cube(64)).value();
  int64_t boundary = 0;
  for (const auto& [edge, uses] : edge_uses(surface.triangles)) {
    EXPECT_LE(uses, 2);
    if (uses != 1) continue;
    ++boundary;
    // Only near the border of the sheet: one step of its staircase of voxels (1/0.31 long) and a voxel.
    const auto& p = surface.positions[edge[0]];
    EXPECT_GT(std::max(std::abs(p[0]), std::abs(p[1])), 0.4f - (1 / 0.31f + 1) / 64);
  }
  EXPECT_GT(boundary, 100);
}

TEST(DualGrid, OfADegenerateTriangleAddsNothingToItsNeighbours) {
  Shape ball = sphere(0.4f);
  const DualGrid alone = dual_grid(ball.positions, ball.triangles, Grid::cube(kResolution)).value();
  ball.triangles.push_back({7, 7, 7});
  const DualGrid more = dual_grid(ball.positions, ball.triangles, Grid::cube(kResolution)).value();
  EXPECT_EQ(alone.voxels, more.voxels);
  EXPECT_EQ(alone.dual_vertices, more.dual_vertices);
}

// A model placed far from the origin loses digits when it is read, not when it is converted.
TEST(DualGrid, OfAFarModelIsThatOfTheSameModelAtTheOrigin) {
  const auto scene_of = [](const Shape& shape) {
    mesh::Scene scene;
    scene.meshes.emplace_back().positions = shape.positions;
    scene.meshes[0].triangles = shape.triangles;
    return scene;
  };
  const Shape ball = sphere(2.0f);
  mesh::Scene near = scene_of(ball), far = scene_of(moved(ball, {4096, -8192, 1024}));
  ASSERT_TRUE(mesh::normalize(near).ok() && mesh::normalize(far).ok());
  const auto voxels = [](const mesh::Scene& scene) {
    const mesh::Surface surface = welded(scene);
    return dual_grid(surface.positions, surface.triangles, Grid::cube(kResolution)).value().voxels;
  };
  const auto a = voxels(near), b = voxels(far);
  std::vector<Voxel> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  EXPECT_GT(double(common.size()), 0.95 * double(std::max(a.size(), b.size())));
}

TEST(DualGrid, RefusesVerticesTooFarToCompareWithTheGrid) {
  Shape ball = sphere(0.4f);
  ball.positions[3] = {100, 0, 0};
  EXPECT_EQ(dual_grid(ball.positions, ball.triangles, Grid::cube(kResolution)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::ovoxel
