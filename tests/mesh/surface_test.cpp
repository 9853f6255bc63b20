#include "mesh/surface.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace espalier::mesh {
namespace {

// A square of side^2 cells in the plane z = height(x, y), wound upwards.
template <class Height>
Surface square(uint32_t side, Height height) {
  Surface out;
  const float step = 1.0f / static_cast<float>(side);
  for (uint32_t i = 0; i <= side; ++i) {
    for (uint32_t j = 0; j <= side; ++j) {
      const float x = step * static_cast<float>(i), y = step * static_cast<float>(j);
      out.positions.push_back({x, y, height(x, y)});
    }
  }
  for (uint32_t i = 0; i < side; ++i) {
    for (uint32_t j = 0; j < side; ++j) {
      const uint32_t a = i * (side + 1) + j, b = a + side + 1;
      out.triangles.push_back({a, b, b + 1});
      out.triangles.push_back({a, b + 1, a + 1});
    }
  }
  return out;
}

Surface flat(uint32_t side) {
  return square(side, [](float, float) { return 0.0f; });
}

// Takes out the two triangles of cell (i, j).
void punch(Surface& surface, uint32_t side, uint32_t i, uint32_t j) {
  const auto first = surface.triangles.begin() + (i * side + j) * 2;
  *first = *(first + 1) = {0, 0, 0};
}

using DirectedEdges = std::map<std::pair<uint32_t, uint32_t>, int>;

DirectedEdges directed_edges(const Surface& surface) {
  DirectedEdges out;
  for (const Triangle& t : surface.triangles) {
    if (t[0] == t[1]) continue;
    for (size_t k = 0; k < 3; ++k) ++out[{t[k], t[(k + 1) % 3]}];
  }
  return out;
}

int64_t boundary_length(const Surface& surface) {
  const auto edges = directed_edges(surface);
  return std::count_if(edges.begin(), edges.end(), [&](const auto& entry) {
    return edges.find({entry.first.second, entry.first.first}) == edges.end();
  });
}

TEST(FillHoles, ClosesSmallLoopsWithAFanWoundLikeTheirSurroundings) {
  Surface surface = flat(100);
  punch(surface, 100, 40, 50);
  punch(surface, 100, 70, 20);
  const size_t vertices = surface.positions.size();
  EXPECT_EQ(boundary_length(surface), 400 + 8);
  EXPECT_EQ(fill_holes(surface, 0.05f).value(), 2u);
  EXPECT_EQ(boundary_length(surface), 400);
  for (const auto& [edge, uses] : directed_edges(surface)) EXPECT_EQ(uses, 1);
  ASSERT_EQ(surface.positions.size(), vertices + 2);
  EXPECT_NEAR(surface.positions[vertices][0], 0.405, 1e-6);
  EXPECT_NEAR(surface.positions[vertices][1], 0.505, 1e-6);
}

TEST(FillHoles, LeavesLongLoopsOpen) {
  Surface surface = flat(20);  // cells of 0.05: a hole has a perimeter of 0.2
  punch(surface, 20, 5, 5);
  EXPECT_EQ(fill_holes(surface).value(), 0u);
  EXPECT_EQ(fill_holes(surface, 0.2001f).value(), 1u);
  EXPECT_EQ(fill_holes(surface, 5).value(), 1u);  // the border of the square
  EXPECT_EQ(boundary_length(surface), 0);
}

TEST(FillHoles, LeavesLoopsOpenThatTouch) {
  Surface surface = flat(100);
  punch(surface, 100, 40, 50);
  punch(surface, 100, 41, 51);  // shares a corner with the first
  EXPECT_EQ(fill_holes(surface, 0.1f).value(), 0u);
}

TEST(FillHoles, LeavesLoopsOpenAtCrowdedEdges) {
  Surface surface = flat(100);
  punch(surface, 100, 40, 50);
  const uint32_t corner = 40 * 101 + 50;
  for (int i = 0; i < 2; ++i) {  // fins on an edge that ends at the hole
    surface.positions.push_back({0, 0, 0.1f});
    surface.triangles.push_back({corner, corner - 1, static_cast<uint32_t>(surface.positions.size()) - 1});
  }
  EXPECT_EQ(fill_holes(surface, 0.1f).value(), 0u);
}

TEST(FillHoles, OfAClosedOrEmptySurfaceDoesNothing) {
  Surface tetrahedron{{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {{0, 2, 1}, {0, 1, 3}, {1, 2, 3}, {0, 3, 2}}};
  EXPECT_EQ(fill_holes(tetrahedron, 100).value(), 0u);
  Surface nothing;
  EXPECT_EQ(fill_holes(nothing).value(), 0u);
}

TEST(Simplify, KeepsTheBudgetAndStaysOnTheSurface) {
  const auto hill = [](float x, float y) { return 0.2f * std::sin(3 * x) * std::cos(2 * y); };
  const Surface fine = square(60, hill);
  const Surface coarse = simplify(fine, 500).value();
  EXPECT_LE(coarse.triangles.size(), 500u);
  EXPECT_GT(coarse.triangles.size(), 300u);
  std::set<uint32_t> used;
  for (const Triangle& t : coarse.triangles) used.insert(t.begin(), t.end());
  EXPECT_EQ(used.size(), coarse.positions.size());
  for (const Triangle& t : coarse.triangles) {
    float x = 0, y = 0, z = 0;
    for (const uint32_t v : t) {
      x += coarse.positions[v][0] / 3;
      y += coarse.positions[v][1] / 3;
      z += coarse.positions[v][2] / 3;
    }
    EXPECT_NEAR(z, hill(x, y), 0.01);
  }
}

TEST(Simplify, KeepsTheAreaOfASquare) {
  const Surface coarse = simplify(flat(16), 32).value();
  EXPECT_LE(coarse.triangles.size(), 32u);
  double area = 0;
  for (const Triangle& t : coarse.triangles) {
    const Vec3 &a = coarse.positions[t[0]], &b = coarse.positions[t[1]], &c = coarse.positions[t[2]];
    const double twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    EXPECT_GE(twice, 0);
    area += twice / 2;
  }
  EXPECT_NEAR(area, 1, 1e-5);
}

TEST(Simplify, LeavesASurfaceWithinItsBudgetAlone) {
  Surface surface = flat(4);
  surface.positions.push_back({9, 9, 9});  // unused
  surface.triangles.push_back({3, 3, 5});  // an edge
  const Surface same = simplify(surface, 100).value();
  EXPECT_EQ(same.triangles, flat(4).triangles);
  EXPECT_EQ(same.positions, flat(4).positions);
  EXPECT_TRUE(simplify({}, 5)->triangles.empty());
}

TEST(Surface, WithBrokenIndicesOrPositionsIsRefused) {
  Surface beyond = flat(2), infinite = flat(2);
  beyond.triangles[3][1] = 9;
  infinite.positions[4][2] = INFINITY;
  for (const Surface& surface : {beyond, infinite}) {
    Surface copy = surface;
    EXPECT_EQ(fill_holes(copy).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(simplify(surface, 1).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace espalier::mesh
