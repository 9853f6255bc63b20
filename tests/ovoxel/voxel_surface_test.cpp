#include "ovoxel/voxel_surface.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

namespace espalier::ovoxel {
namespace {

std::vector<Voxel> box(Voxel low, Voxel high) {
  std::vector<Voxel> out;
  for (int x = low[0]; x < high[0]; ++x) {
    for (int y = low[1]; y < high[1]; ++y) {
      for (int z = low[2]; z < high[2]; ++z) out.push_back({x, y, z});
    }
  }
  return out;
}

// A square ring of cells.
std::vector<Voxel> ring() {
  std::vector<Voxel> out;
  for (const Voxel& v : box({2, 2, 3}, {7, 7, 5})) {
    if (v[0] >= 4 && v[0] < 5 && v[1] >= 4 && v[1] < 5) continue;
    out.push_back(v);
  }
  return out;
}

std::vector<Voxel> random_cells(double share, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Voxel> out;
  for (const Voxel& v : box({0, 0, 0}, {8, 8, 8})) {
    if (random() < share * 4294967295.0) out.push_back(v);
  }
  return out;
}

// Every directed edge once, and its reverse once.
::testing::AssertionResult is_closed(const mesh::Mesh& surface) {
  std::map<std::pair<uint32_t, uint32_t>, int> edges;
  for (const auto& t : surface.triangles) {
    for (int k = 0; k < 3; ++k) ++edges[{t[k], t[(k + 1) % 3]}];
  }
  for (const auto& [edge, count] : edges) {
    if (edge.first == edge.second) return ::testing::AssertionFailure() << "an edge has no length";
    const auto reverse = edges.find({edge.second, edge.first});
    if (count != 1 || reverse == edges.end()) {
      return ::testing::AssertionFailure() << "edge " << edge.first << "-" << edge.second << " is used " << count;
    }
  }
  return ::testing::AssertionSuccess();
}

// Each vertex has one fan: walking around it over shared edges meets all its triangles.
bool has_single_fans(const mesh::Mesh& surface) {
  std::map<uint32_t, std::map<uint32_t, uint32_t>> next;  // vertex -> ring
  for (const auto& t : surface.triangles) {
    for (int k = 0; k < 3; ++k) next[t[k]][t[(k + 1) % 3]] = t[(k + 2) % 3];
  }
  for (const auto& [vertex, links] : next) {
    size_t steps = 0;
    uint32_t at = links.begin()->first;
    do {
      at = links.at(at);
      ++steps;
    } while (at != links.begin()->first && steps <= links.size());
    if (steps != links.size()) return false;
  }
  return true;
}

double volume(const mesh::Mesh& surface) {
  double sum = 0;
  for (const auto& t : surface.triangles) {
    const auto &a = surface.positions[t[0]], &b = surface.positions[t[1]], &c = surface.positions[t[2]];
    sum += a[0] * (double{b[1]} * c[2] - double{b[2]} * c[1]) + a[1] * (double{b[2]} * c[0] - double{b[0]} * c[2]) +
           a[2] * (double{b[0]} * c[1] - double{b[1]} * c[0]);
  }
  return sum / 6;
}

int64_t euler(const mesh::Mesh& surface) {
  std::set<uint32_t> used;
  for (const auto& t : surface.triangles) used.insert(t.begin(), t.end());
  const auto faces = static_cast<int64_t>(surface.triangles.size());
  return static_cast<int64_t>(used.size()) - faces * 3 / 2 + faces;
}

struct Row {
  const char* name;
  std::vector<Voxel> voxels;
  int64_t euler;  // 2 per sphere, 0 per torus
};

TEST(VoxelSurface, IsClosedManifoldAndOfTheRightTopology) {
  const std::vector<Row> rows = {
      {"one cell", {{3, 3, 3}}, 2},
      {"box", box({1, 2, 3}, {4, 6, 5}), 2},
      {"full grid", box({0, 0, 0}, {8, 8, 8}), 2},
      {"ring", ring(), 0},
      {"two cells touching along an edge", {{2, 2, 2}, {3, 3, 2}}, 4},
      {"two cells touching at a corner", {{2, 2, 2}, {3, 3, 3}}, 4},
      {"two cells one apart", {{2, 2, 2}, {4, 2, 2}}, 4},
      {"hollow box: outer and inner shell",
       [] {
         auto cells = box({0, 0, 0}, {3, 3, 3});
         std::erase(cells, Voxel{1, 1, 1});
         return cells;
       }(),
       4},
      // Pillars touching along an edge under a common roof and over a common floor.
      {"diagonal pillars between plates",
       [] {
         auto cells = box({0, 0, 0}, {4, 4, 1});
         for (const auto& v : box({0, 0, 3}, {4, 4, 4})) cells.push_back(v);
         for (int z = 1; z < 3; ++z) {
           cells.push_back({1, 1, z});
           cells.push_back({2, 2, z});
         }
         return cells;
       }(),
       0},
      {"one-cell edge between joined plates",
       [] {
         auto cells = box({0, 0, 0}, {4, 4, 1});
         for (const auto& v : box({0, 0, 2}, {4, 4, 3})) cells.push_back(v);
         cells.push_back({1, 1, 1});
         cells.push_back({2, 2, 1});
         return cells;
       }(),
       0},
  };
  for (const Row& row : rows) {
    for (const int passes : {0, 8}) {
      const auto surface = voxel_surface(row.voxels, 8, {passes});
      ASSERT_TRUE(surface.ok()) << row.name << surface.status();
      EXPECT_TRUE(is_closed(*surface)) << row.name << passes;
      EXPECT_TRUE(has_single_fans(*surface)) << row.name;
      EXPECT_EQ(euler(*surface), row.euler) << row.name;
      EXPECT_GT(volume(*surface), 0) << row.name;
    }
  }
}

TEST(VoxelSurface, IsClosedForAnyCells) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto cells = random_cells(0.1 + 0.04 * seed, seed);
    const auto surface = voxel_surface(cells, 8).value();
    EXPECT_TRUE(is_closed(surface)) << seed;
    EXPECT_TRUE(has_single_fans(surface)) << seed;
    for (const auto& p : surface.positions) {
      for (const float x : p) EXPECT_LE(std::abs(x), 0.5f);
    }
  }
}

TEST(VoxelSurface, OfBlocksHasTheirVolume) {
  EXPECT_NEAR(volume(voxel_surface(box({0, 0, 0}, {4, 4, 4}), 8, {0}).value()), 0.125, 1e-6);
  EXPECT_NEAR(volume(voxel_surface(random_cells(0.4, 3), 8, {0}).value()), double(random_cells(0.4, 3).size()) / 512,
              1e-6);
}

TEST(VoxelSurface, SmoothsABallTowardsASphere) {
  std::vector<Voxel> ball;
  for (const Voxel& v : box({0, 0, 0}, {32, 32, 32})) {
    const double x = v[0] - 15.5, y = v[1] - 15.5, z = v[2] - 15.5;
    if (x * x + y * y + z * z < 12 * 12) ball.push_back(v);
  }
  const auto spread = [](const mesh::Mesh& surface) {
    double least = 1, most = 0;
    for (const auto& p : surface.positions) {
      const double r = std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
      least = std::min(least, r);
      most = std::max(most, r);
    }
    return most - least;
  };
  const auto blocky = voxel_surface(ball, 32, {0}).value();
  const auto smooth = voxel_surface(ball, 32).value();
  EXPECT_LT(spread(smooth), 0.6 * spread(blocky));
  for (size_t i = 0; i < smooth.positions.size(); ++i) {
    double along = 0, length = 0;
    for (int a = 0; a < 3; ++a) along += smooth.positions[i][a] * smooth.normals[i][a];
    for (int a = 0; a < 3; ++a) length += smooth.positions[i][a] * smooth.positions[i][a];
    EXPECT_GT(along / std::sqrt(length), 0.85);  // normals point outwards
  }
}

TEST(VoxelSurface, IgnoresOrderAndDuplicates) {
  const std::vector<Voxel> a = {{1, 1, 1}, {2, 1, 1}}, b = {{2, 1, 1}, {1, 1, 1}, {2, 1, 1}};
  EXPECT_EQ(voxel_surface(a, 4)->positions, voxel_surface(b, 4)->positions);
  EXPECT_EQ(voxel_surface(a, 4)->triangles, voxel_surface(b, 4)->triangles);
}

TEST(VoxelSurface, RejectsNothingAndCellsOutside) {
  EXPECT_FALSE(voxel_surface({}, 8).ok());
  EXPECT_FALSE(voxel_surface(std::vector<Voxel>{{8, 0, 0}}, 8).ok());
  EXPECT_FALSE(voxel_surface(std::vector<Voxel>{{0, -1, 0}}, 8).ok());
  EXPECT_FALSE(voxel_surface(std::vector<Voxel>{{0, 0, 0}}, 8, {-1}).ok());
}

}  // namespace
}  // namespace espalier::ovoxel
