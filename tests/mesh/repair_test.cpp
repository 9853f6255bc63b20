#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "mesh/surface.h"

namespace espalier::mesh {
namespace {

using ::testing::ElementsAre;

// A cube of side `side` at `at`, wound outwards.
Surface cube(float side = 1, const Vec3& at = {0, 0, 0}) {
  Surface out;
  for (int i = 0; i < 8; ++i) {
    out.positions.push_back({at[0] + side * static_cast<float>(i & 1), at[1] + side * static_cast<float>(i >> 1 & 1),
                             at[2] + side * static_cast<float>(i >> 2)});
  }
  out.triangles = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
                   {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  return out;
}

void append(Surface& to, const Surface& other) {
  const auto first = static_cast<uint32_t>(to.positions.size());
  to.positions.insert(to.positions.end(), other.positions.begin(), other.positions.end());
  for (const Triangle& t : other.triangles) to.triangles.push_back({t[0] + first, t[1] + first, t[2] + first});
}

double volume(const Surface& surface) {
  double sum = 0;
  for (const Triangle& t : surface.triangles) {
    const Vec3 &a = surface.positions[t[0]], &b = surface.positions[t[1]], &c = surface.positions[t[2]];
    sum += double{a[0]} * (b[1] * c[2] - b[2] * c[1]) + double{a[1]} * (b[2] * c[0] - b[0] * c[2]) +
           double{a[2]} * (b[0] * c[1] - b[1] * c[0]);
  }
  return sum / 6;
}

// Times each directed edge is used.
std::map<std::pair<uint32_t, uint32_t>, int> directed(const Surface& surface) {
  std::map<std::pair<uint32_t, uint32_t>, int> out;
  for (const Triangle& t : surface.triangles) {
    for (size_t k = 0; k < 3; ++k) ++out[{t[k], t[(k + 1) % 3]}];
  }
  return out;
}

TEST(Repair, LeavesASoundSurfaceAsItIs) {
  Surface surface = cube();
  ASSERT_TRUE(repair(surface).ok());
  EXPECT_EQ(surface.positions.size(), 8u);
  EXPECT_NEAR(volume(surface), 1, 1e-6);
  for (const auto& [edge, times] : directed(surface)) EXPECT_EQ(times, 1);
}

TEST(Repair, DropsDegenerateAndRepeatedTriangles) {
  Surface surface = cube();
  surface.triangles.insert(surface.triangles.begin() + 3, {1, 1, 5});
  surface.triangles.push_back({2, 1, 0});  // the first one, the other way round
  surface.positions.push_back({9, 9, 9});  // unused
  ASSERT_TRUE(repair(surface).ok());
  EXPECT_EQ(surface.triangles.size(), 12u);
  EXPECT_EQ(surface.positions.size(), 8u);
  EXPECT_NEAR(volume(surface), 1, 1e-6);
}

TEST(Repair, SeparatesPartsThatTouch) {
  Surface at_vertex = cube(), at_edge = cube();
  append(at_vertex, cube(1, {1, 1, 1}));
  append(at_edge, cube(1, {1, 1, 0}));
  // Weld equal positions, so that the cubes share a corner or an edge of four triangles.
  for (Surface* surface : {&at_vertex, &at_edge}) {
    for (Triangle& t : surface->triangles) {
      for (uint32_t& v : t) {
        const auto first = std::find(surface->positions.begin(), surface->positions.end(), surface->positions[v]);
        v = static_cast<uint32_t>(first - surface->positions.begin());
      }
    }
    ASSERT_TRUE(repair(*surface).ok());
    EXPECT_EQ(surface->triangles.size(), 24u);
    EXPECT_NEAR(volume(*surface), 2, 1e-5);
  }
  EXPECT_EQ(at_vertex.positions.size(), 16u);
  for (const auto& [edge, times] : directed(at_vertex)) EXPECT_EQ(times, 1);
  for (const auto& [edge, times] : directed(at_edge)) EXPECT_EQ(times, 1);
}

TEST(Repair, DropsCrumbs) {
  Surface surface = cube();
  append(surface, cube(1e-3f, {3, 0, 0}));  // 6e-6 of area
  append(surface, cube(2e-3f, {4, 0, 0}));
  ASSERT_TRUE(repair(surface).ok());
  EXPECT_EQ(surface.triangles.size(), 24u);
  EXPECT_EQ(surface.positions.size(), 16u);
}

TEST(Orient, WindsEveryPartOutwards) {
  Surface surface = cube();
  append(surface, cube(1, {5, 0, 0}));
  for (size_t t = 0; t < surface.triangles.size(); ++t) {
    if (t % 3 == 0 || t >= 12) std::swap(surface.triangles[t][0], surface.triangles[t][1]);
  }
  ASSERT_TRUE(orient(surface).ok());
  EXPECT_NEAR(volume(surface), 2, 1e-5);
  for (const auto& [edge, times] : directed(surface)) EXPECT_EQ(times, 1);
}

TEST(Orient, GivesAnOpenPartOneSide) {
  Surface strip;
  for (int i = 0; i < 6; ++i) strip.positions.push_back({static_cast<float>(i / 2), static_cast<float>(i % 2), 0});
  strip.triangles = {{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 5, 4}};
  ASSERT_TRUE(orient(strip).ok());
  for (const auto& [edge, times] : directed(strip)) EXPECT_EQ(times, 1);
  EXPECT_EQ(strip.triangles[0], (Triangle{0, 1, 2})) << "without a volume the first triangle decides";
}

TEST(Orient, EndsOnAMoebiusStrip) {
  Surface strip;
  for (int i = 0; i < 6; ++i)
    strip.positions.push_back({std::cos(1.0f * static_cast<float>(i)), static_cast<float>(i % 2), 1});
  for (uint32_t i = 0; i < 6; ++i) strip.triangles.push_back({i, (i + 1) % 6, (i + 2) % 6});
  EXPECT_TRUE(orient(strip).ok());
}

TEST(VertexNormals, WeighTheTrianglesByArea) {
  Surface roof;
  roof.positions = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 3}, {7, 7, 7}};
  roof.triangles = {{0, 1, 2}, {0, 3, 1}};
  const auto normals = vertex_normals(roof);
  const float length = std::sqrt(1.0f + 9.0f);
  EXPECT_THAT(normals[0],
              ElementsAre(0, ::testing::FloatNear(3 / length, 1e-6f), ::testing::FloatNear(1 / length, 1e-6f)));
  EXPECT_THAT(normals[2], ElementsAre(0, 0, 1));
  EXPECT_THAT(normals[4], ElementsAre(0, 0, 1)) << "unused";
}

TEST(Repair, RefusesBrokenInput) {
  Surface beyond = cube(), infinite = cube();
  beyond.triangles[3][1] = 99;
  infinite.positions[4][2] = INFINITY;
  for (Surface surface : {beyond, infinite}) {
    EXPECT_TRUE(absl::IsInvalidArgument(repair(surface)));
    EXPECT_TRUE(absl::IsInvalidArgument(orient(surface)));
  }
}

}  // namespace
}  // namespace espalier::mesh
