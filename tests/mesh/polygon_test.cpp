#include "mesh/polygon.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace espalier::mesh::internal {
namespace {

double area(const Vec3& a, const Vec3& b, const Vec3& c) {
  return ((double{b[0]} - a[0]) * (double{c[1]} - a[1]) - (double{b[1]} - a[1]) * (double{c[0]} - a[0])) / 2;
}

struct Measured {
  size_t triangles = 0;
  double signed_area = 0, whole_area = 0;  // seen from +z; they differ where triangles overlap
};

Measured measured(const std::vector<Vec3>& corners) {
  PolygonCutter cutter;
  Measured out;
  for (const Triangle& t : cutter.cut(corners)) {
    const double a = area(corners[t[0]], corners[t[1]], corners[t[2]]);
    ++out.triangles;
    out.signed_area += a;
    out.whole_area += std::abs(a);
  }
  return out;
}

std::vector<Vec3> star(int points) {
  std::vector<Vec3> out;
  for (int i = 0; i < 2 * points; ++i) {
    const double angle = std::numbers::pi * i / points, r = i % 2 ? 0.4 : 1;
    out.push_back({static_cast<float>(r * std::cos(angle)), static_cast<float>(r * std::sin(angle)), 0});
  }
  return out;
}

TEST(Polygon, CoversWhatItsOutlineCovers) {
  const std::vector<Vec3> square{{0, 0, 0}, {4, 0, 0}, {4, 4, 0}, {0, 4, 0}};
  std::vector<Vec3> backwards(square.rbegin(), square.rend());
  const struct {
    const char* name;
    std::vector<Vec3> corners;
    double area;
  } rows[] = {
      {"triangle", {{0, 0, 0}, {2, 0, 0}, {0, 2, 0}}, 2},
      {"square", square, 16},
      {"square, clockwise", backwards, -16},
      {"dart", {{4, 0, 0}, {1, 1, 0}, {0, 4, 0}, {0, 0, 0}}, 4},
      {"dart, from its tip", {{1, 1, 0}, {0, 4, 0}, {0, 0, 0}, {4, 0, 0}}, 4},
      {"notch", {{0, 0, 0}, {4, 0, 0}, {4, 4, 0}, {2, 1, 0}, {0, 4, 0}}, 10},
      {"corners on one line", {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {4, 0, 0}, {4, 4, 0}, {0, 4, 0}}, 16},
      {"hole",
       {{0, 0, 0}, {4, 0, 0}, {4, 4, 0}, {0, 4, 0}, {0, 0, 0}, {1, 1, 0}, {1, 3, 0}, {3, 3, 0}, {3, 1, 0}, {1, 1, 0}},
       12},
      {"comb", {{0, 0, 0}, {5, 0, 0}, {5, 3, 0}, {4, 1, 0}, {3, 3, 0}, {2, 1, 0}, {1, 3, 0}, {0, 1, 0}}, 10},
      {"star", star(9), 9 * 0.4 * std::sin(std::numbers::pi / 9)},
  };
  for (const auto& row : rows) {
    const Measured got = measured(row.corners);
    EXPECT_EQ(got.triangles, row.corners.size() - 2) << row.name;
    EXPECT_NEAR(got.signed_area, row.area, 1e-5) << row.name;
    EXPECT_NEAR(got.whole_area, std::abs(row.area), 1e-5) << row.name;
  }
}

TEST(Polygon, IsAFanWhereItIsConvex) {
  PolygonCutter cutter;
  std::vector<Vec3> circle;
  for (int i = 0; i < 7; ++i) {
    circle.push_back({0, static_cast<float>(std::cos(0.9 * i)), static_cast<float>(std::sin(0.9 * i))});
  }
  const auto triangles = cutter.cut(circle);
  ASSERT_EQ(triangles.size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(triangles[i], (Triangle{0, i + 1, i + 2}));
}

TEST(Polygon, EndsForOutlinesThatCrossThemselvesOrHaveNoArea) {
  std::vector<Vec3> tangle, line;
  for (int i = 0; i < static_cast<int>(kMaxPolygon); ++i) {
    tangle.push_back({static_cast<float>(i * 7919 % 1009), static_cast<float>(i * 104729 % 997), 0});
    line.push_back({static_cast<float>(i % 5), 0, 0});
  }
  EXPECT_EQ(measured(tangle).triangles, kMaxPolygon - 2);
  EXPECT_EQ(measured(line).triangles, kMaxPolygon - 2);
}

}  // namespace
}  // namespace espalier::mesh::internal
