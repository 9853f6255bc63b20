#include "evaluate/surface_agreement.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espalier::evaluate {
namespace {

// A square of side 1 across z.
mesh::Surface square(float z) {
  return {{{-0.5f, -0.5f, z}, {0.5f, -0.5f, z}, {0.5f, 0.5f, z}, {-0.5f, 0.5f, z}}, {{0, 1, 2}, {0, 2, 3}}};
}

TEST(SurfaceAgreement, MeasuresTheDistanceOfParallelSquares) {
  const struct {
    float apart;
    double f_score;
  } rows[] = {{0, 1}, {0.01f, 1}, {0.05f, 0}, {0.3f, 0}};
  for (const auto& row : rows) {
    const auto agreement = surface_agreement(square(row.apart), square(0));
    ASSERT_TRUE(agreement.ok()) << agreement.status();
    EXPECT_NEAR(agreement->chamfer, row.apart, 1e-6);
    EXPECT_NEAR(agreement->f_score, row.f_score, 1e-9);
  }
}

TEST(SurfaceAgreement, CountsWhatIsMissingAndWhatIsTooMuchAlike) {
  mesh::Surface both = square(0);
  for (const mesh::Vec3& p : square(0.4f).positions) both.positions.push_back(p);
  both.triangles.insert(both.triangles.end(), {{4, 5, 6}, {4, 6, 7}});
  const auto missing = surface_agreement(square(0), both), too_much = surface_agreement(both, square(0));
  ASSERT_TRUE(missing.ok() && too_much.ok());
  for (const auto& agreement : {*missing, *too_much}) {
    EXPECT_NEAR(agreement.chamfer, 0.1, 0.01);  // a half at 0.4 in one direction, nothing in the other
    EXPECT_NEAR(agreement.f_score, 2.0 / 3, 0.03);
  }
}

TEST(SurfaceAgreement, NothingMadeAgreesWithNothing) {
  const auto agreement = surface_agreement({}, square(0));
  ASSERT_TRUE(agreement.ok());
  EXPECT_EQ(agreement->chamfer, 1);
  EXPECT_EQ(agreement->f_score, 0);
  EXPECT_EQ(surface_agreement(square(0), {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SurfaceAgreement, ComparesNormalsWhicheverWayTheyPoint) {
  mesh::Surface turned = square(0), tilted = square(0);
  for (mesh::Triangle& t : turned.triangles) std::swap(t[1], t[2]);
  for (mesh::Vec3& p : tilted.positions) p[2] = p[0];  // by 45 degrees
  EXPECT_NEAR(surface_agreement(turned, square(0))->normal_consistency, 1, 1e-9);
  EXPECT_NEAR(surface_agreement(tilted, square(0))->normal_consistency, std::sqrt(0.5), 1e-6);
}

TEST(SurfaceSamples, FallOnTrianglesByTheirArea) {
  mesh::Surface surface = square(0);
  surface.positions.insert(surface.positions.end(), {{0, 0, 1}, {1, 0, 1}, {0, 2, 1}});  // area 1, as the square's
  surface.triangles.push_back({4, 5, 6});
  const auto samples = surface_samples(surface, 2000, PhiloxStream(3));
  ASSERT_TRUE(samples.ok());
  int above = 0;
  for (const auto& [p, triangle] : *samples) {
    EXPECT_EQ(triangle, p[2] == 0 ? (p[0] > p[1] ? 0u : 1u) : 2u);
    if (p[2] == 0) {
      EXPECT_LE(std::max(std::abs(p[0]), std::abs(p[1])), 0.5f);
      continue;
    }
    ++above;
    EXPECT_LE(p[0] + p[1] / 2, 1 + 1e-5f);
  }
  EXPECT_NEAR(above, 1000, 100);
}

}  // namespace
}  // namespace espalier::evaluate
