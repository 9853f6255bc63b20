#include "ovoxel/box_minimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace espalier::ovoxel::internal {
namespace {

struct Problem {
  Quadric quadric;
  Box box;
};

// Planes through a voxel of a fine grid, as the dual grid sums them; few planes leave the minimum ill-conditioned.
Problem random_problem(std::mt19937& random, int planes, float regularization) {
  std::uniform_real_distribution<float> unit(-1, 1);
  const float h = 1.0f / 512;
  Problem out;
  Eigen::Vector3f center;
  for (int a = 0; a < 3; ++a) {
    const auto cell = static_cast<float>(random() % 512);
    out.box.low[a] = cell * h;
    out.box.high[a] = (cell + 1) * h;
    center[a] = (cell + 0.5f + unit(random)) * h;
  }
  const Eigen::Vector3f axis = Eigen::Vector3f(unit(random), unit(random), unit(random));
  for (int i = 0; i < planes; ++i) {
    const float spread = random() % 2 == 0 ? 0.01f : 1.0f;
    const Eigen::Vector3f normal = (axis + spread * Eigen::Vector3f(unit(random), unit(random), unit(random)));
    const mesh::Vec3 point = {center[0] + unit(random) * h, center[1], center[2]};
    out.quadric.add(plane_quadric(normal.normalized(), point));
  }
  if (regularization > 0) out.quadric.add(point_quadric(center), regularization * static_cast<float>(planes));
  return out;
}

void expect_same_as_one_by_one(const std::vector<Problem>& problems) {
  std::vector<mesh::Vec3> got(problems.size(), mesh::Vec3{NAN, NAN, NAN});
  BoxMinimizer minimizer(got);
  for (size_t i = 0; i < problems.size(); ++i) minimizer.add(i, problems[i].quadric, problems[i].box);
  minimizer.finish();
  size_t different = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    const mesh::Vec3 want = minimize_in_box(problems[i].quadric, problems[i].box);
    different += std::memcmp(&want, &got[i], sizeof(want)) != 0;
  }
  EXPECT_EQ(different, 0u) << "of " << problems.size();
}

TEST(BoxMinimizer, GivesEveryBitOfTheSingleSolver) {
  std::mt19937 random(1);
  std::vector<Problem> problems;
  for (int i = 0; i < 40'001; ++i) problems.push_back(random_problem(random, 1 + i % 12, i % 3 == 0 ? 0.01f : 0.1f));
  expect_same_as_one_by_one(problems);
}

TEST(BoxMinimizer, GivesTheSameForSystemsWithoutFullRank) {
  std::mt19937 random(2);
  std::vector<Problem> problems;
  for (int i = 0; i < 4001; ++i) problems.push_back(random_problem(random, i % 4, 0));
  problems[7].quadric = {};
  expect_same_as_one_by_one(problems);
}

TEST(BoxMinimizer, FindsMinimaInsideAndOnTheBoundary) {
  const Box unit{{0, 0, 0}, {1, 1, 1}};
  std::vector<mesh::Vec3> got(3);
  BoxMinimizer minimizer(got);
  minimizer.add(0, point_quadric({0.25f, 0.5f, 0.75f}), unit);
  minimizer.add(1, point_quadric({0.25f, 0.5f, 2.0f}), unit);
  minimizer.add(2, point_quadric({-3.0f, 0.5f, 2.0f}), unit);
  minimizer.finish();
  const std::vector<mesh::Vec3> want = {{0.25f, 0.5f, 0.75f}, {0.25f, 0.5f, 1}, {0, 0.5f, 1}};
  for (size_t i = 0; i < 3; ++i) {
    for (int a = 0; a < 3; ++a) EXPECT_NEAR(got[i][a], want[i][a], 1e-5f);
  }
}

}  // namespace
}  // namespace espalier::ovoxel::internal
