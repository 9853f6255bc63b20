#include "mesh/closest_point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace espalier::mesh {
namespace {

double distance(const Vec3& a, const Vec3& b) {
  return std::hypot(double{a[0]} - b[0], double{a[1]} - b[1], double{a[2]} - b[2]);
}

TEST(ClosestPoint, FindsCornersEdgesAndInsides) {
  const Surface triangle{{{0, 0, 0}, {2, 0, 0}, {0, 2, 0}}, {{0, 1, 2}}};
  const auto tree = ClosestPoint::over(triangle);
  ASSERT_TRUE(tree.ok());
  const struct {
    Vec3 from, point;
  } rows[] = {{{-1, -1, 3}, {0, 0, 0}},
              {{4, -1, 0}, {2, 0, 0}},
              {{-1, 5, 1}, {0, 2, 0}},
              {{1, -3, 0}, {1, 0, 0}},
              {{-2, 1, 1}, {0, 1, 0}},
              {{2, 2, -1}, {1, 1, 0}},
              {{0.5f, 0.25f, 7}, {0.5f, 0.25f, 0}}};
  for (const auto& row : rows) {
    const auto hit = tree->find(row.from);
    for (size_t a = 0; a < 3; ++a) EXPECT_NEAR(hit.point[a], row.point[a], 1e-6);
    EXPECT_NEAR(hit.distance, distance(row.from, row.point), 1e-6);
    EXPECT_EQ(hit.triangle, 0u);
  }
}

TEST(ClosestPoint, AgreesWithTryingEveryTriangle) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> place(-1, 1);
  const auto point = [&] { return Vec3{place(random), place(random), place(random)}; };
  Surface soup;
  std::vector<ClosestPoint> singles;
  for (uint32_t t = 0; t < 200; ++t) {
    const Vec3 at = point();
    for (int k = 0; k < 3; ++k) {
      const Vec3 shift = point();
      soup.positions.push_back({at[0] + 0.2f * shift[0], at[1] + 0.2f * shift[1], at[2] + 0.2f * shift[2]});
    }
    soup.triangles.push_back({3 * t, 3 * t + 1, 3 * t + 2});
    singles.push_back(ClosestPoint::over({soup.positions, {soup.triangles.back()}}).value());
  }
  const auto tree = ClosestPoint::over(soup);
  ASSERT_TRUE(tree.ok());
  for (int i = 0; i < 300; ++i) {
    const Vec3 from = point();
    float best = INFINITY;
    for (const auto& single : singles) best = std::min(best, single.find(from).distance);
    const auto hit = tree->find(from);
    EXPECT_EQ(hit.distance, best);
    EXPECT_EQ(singles[hit.triangle].find(from).distance, best);
  }
}

TEST(ClosestPoint, TakesDegenerateTriangles) {
  const Surface spike{{{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {5, 5, 5}}, {{0, 1, 2}, {3, 3, 3}}};
  const auto tree = ClosestPoint::over(spike);
  ASSERT_TRUE(tree.ok());
  EXPECT_NEAR(tree->find({1.5f, 1, 0}).distance, 1, 1e-6);
  EXPECT_NEAR(tree->find({5, 5, 6}).distance, 1, 1e-6);
  EXPECT_FALSE(ClosestPoint::over({}).ok());
}

}  // namespace
}  // namespace espalier::mesh
