#include "bake/texel_cover.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace espalier::bake {
namespace {

TEST(TexelCover, GivesEveryCentreOfAFanToOneTriangle) {
  std::mt19937 random(2);
  std::uniform_int_distribution<int> half(0, 40);  // corners on texel centres and borders: the hard cases
  for (int round = 0; round < 50; ++round) {
    const TexelPoint middle{10 + half(random) / 2.0, 10 + half(random) / 2.0};
    const TexelPoint square[] = {{0, 0}, {40, 0}, {40, 40}, {0, 40}};
    std::map<std::array<int, 2>, int> hits;
    for (size_t k = 0; k < 4; ++k) {
      for_texels_inside({middle, square[k], square[(k + 1) % 4]}, {0, 0, 40, 40}, [&](int x, int y) {
        ++hits[{x, y}];
      });
    }
    ASSERT_EQ(hits.size(), 1600u);
    for (const auto& [texel, count] : hits) ASSERT_EQ(count, 1) << texel[0] << ", " << texel[1];
  }
}

TEST(TexelCover, VisitsAllThatIsNear) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> place(-3, 23);
  for (int round = 0; round < 100; ++round) {
    TexelTriangle t;
    for (TexelPoint& p : t) p = {place(random), place(random)};
    if (round % 5 == 0) t[2] = t[1];  // without area
    std::map<std::array<int, 2>, int> visited;
    for_texels_near(t, 1.5, {0, 0, 20, 20}, [&](int x, int y) { ++visited[{x, y}]; });
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 20; ++x) {
        const TexelPoint p{x + 0.5, y + 0.5}, near = weighted(t, closest_weights(t, p));
        const double away = std::hypot(near[0] - p[0], near[1] - p[1]);
        const int count = visited.contains({x, y}) ? visited[{x, y}] : 0;
        ASSERT_LE(count, 1);
        ASSERT_TRUE(away > 1.5 || count == 1) << away;
      }
    }
  }
}

TEST(TexelCover, FindsClosestWeights) {
  const TexelTriangle t{TexelPoint{0, 0}, {4, 0}, {0, 4}};
  const struct {
    TexelPoint from, near;
  } rows[] = {{{1, 1}, {1, 1}}, {{-2, -3}, {0, 0}}, {{9, 1}, {4, 0}}, {{1, -2}, {1, 0}}, {{3, 3}, {2, 2}}};
  for (const auto& row : rows) {
    const TexelPoint got = weighted(t, closest_weights(t, row.from));
    EXPECT_NEAR(got[0], row.near[0], 1e-12);
    EXPECT_NEAR(got[1], row.near[1], 1e-12);
  }
}

}  // namespace
}  // namespace espalier::bake
