#include "ovoxel/remesh.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

namespace espalier::ovoxel {
namespace {

// A sphere of radius 0.3 in patches that do not share vertices; `hole` leaves one out.
mesh::Surface loose_sphere(bool hole) {
  mesh::Surface out;
  constexpr int kRings = 24, kSectors = 48;
  const auto at = [](int ring, int sector) {
    const double a = M_PI * ring / kRings, b = 2 * M_PI * sector / kSectors;
    return mesh::Vec3{static_cast<float>(0.3 * std::sin(a) * std::cos(b)),
                      static_cast<float>(0.3 * std::sin(a) * std::sin(b)), static_cast<float>(0.3 * std::cos(a))};
  };
  for (int i = hole ? 2 : 0; i < kRings; ++i) {
    for (int j = 0; j < kSectors; ++j) {
      const auto first = static_cast<uint32_t>(out.positions.size());
      for (const auto& p : {at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)}) out.positions.push_back(p);
      out.triangles.push_back({first, first + 1, first + 2});
      if ((i + j) % 2 == 0) out.triangles.push_back({first, first + 2, first + 3});
      if ((i + j) % 2 == 1) out.triangles.push_back({first, first + 3, first + 2});  // wound against the others
    }
  }
  return out;
}

double volume(const mesh::Surface& surface) {
  double sum = 0;
  for (const mesh::Triangle& t : surface.triangles) {
    const mesh::Vec3 &a = surface.positions[t[0]], &b = surface.positions[t[1]], &c = surface.positions[t[2]];
    sum += double{a[0]} * (b[1] * c[2] - b[2] * c[1]) + double{a[1]} * (b[2] * c[0] - b[0] * c[2]) +
           double{a[2]} * (b[0] * c[1] - b[1] * c[0]);
  }
  return sum / 6;
}

TEST(Remesh, GivesAClosedSurfaceOfOneSide) {
  for (const bool hole : {false, true}) {
    const auto surface = remesh(loose_sphere(hole), {.resolution = 48});
    ASSERT_TRUE(surface.ok()) << surface.status();
    std::map<std::pair<uint32_t, uint32_t>, int> edges;
    for (const mesh::Triangle& t : surface->triangles) {
      for (size_t k = 0; k < 3; ++k) ++edges[{t[k], t[(k + 1) % 3]}];
    }
    for (const auto& [edge, times] : edges) {
      const auto back = edges.find({edge.second, edge.first});
      EXPECT_EQ(times, back == edges.end() ? 0 : back->second);
    }
    EXPECT_GT(volume(*surface), 0) << "outwards";
  }
}

TEST(Remesh, StaysAtTheBandsDistance) {
  const mesh::Surface sphere = loose_sphere(false);
  const auto tree = mesh::ClosestPoint::over(sphere);
  ASSERT_TRUE(tree.ok());
  const float band = (1 + 3.0f / 64) / 64;
  const auto shell = remesh(sphere, {.resolution = 64}), back = remesh(sphere, {.resolution = 64, .project = 1});
  ASSERT_TRUE(shell.ok() && back.ok());
  for (const mesh::Vec3& p : shell->positions) EXPECT_NEAR(tree->find(p).distance, band, 0.3 / 64);
  for (const mesh::Vec3& p : back->positions) EXPECT_NEAR(tree->find(p).distance, 0, 1e-5);
}

TEST(Remesh, GivesTheSameForEveryThreadCount) {
  const auto one = remesh(loose_sphere(true), {.resolution = 32, .threads = 1}),
             three = remesh(loose_sphere(true), {.resolution = 32, .threads = 3});
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(one->positions, three->positions);
  EXPECT_EQ(one->triangles, three->triangles);
}

TEST(Remesh, RefusesOptionsOutOfRange) {
  const RemeshOptions bad[] = {{.resolution = 3},
                               {.resolution = 2048},
                               {.resolution = 66},
                               {.resolution = 64, .band = 0},
                               {.resolution = 64, .band = NAN},
                               {.resolution = 64, .project = 2}};
  for (const RemeshOptions& options : bad) {
    EXPECT_TRUE(absl::IsInvalidArgument(remesh(loose_sphere(false), options).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(remesh({}, {}).status()));
}

}  // namespace
}  // namespace espalier::ovoxel
