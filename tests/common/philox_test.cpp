#include "common/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace espalier {
namespace {

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
TEST(Philox, GivesTheKnownAnswers) {
  const std::array<uint32_t, 4> zeros = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), zeros);
  const std::array<uint32_t, 4> pi = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), pi);
}

TEST(PhiloxStream, DependsOnEveryCoordinate) {
  std::set<uint64_t> firsts;
  for (uint64_t key : {0ull, 1ull, 1ull << 32}) {
    for (uint32_t stream : {0u, 1u}) {
      for (uint32_t substream : {0u, 1u}) firsts.insert(PhiloxStream(key, stream, substream).next_u64());
    }
  }
  EXPECT_EQ(firsts.size(), 12u);
}

TEST(PhiloxStream, BelowStaysInRangeAndReachesAll) {
  PhiloxStream stream(7);
  std::set<uint32_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(stream.below(5));
  EXPECT_EQ(seen, (std::set<uint32_t>{0, 1, 2, 3, 4}));
}

TEST(PhiloxStream, NormalHasUnitVariance) {
  PhiloxStream stream(3);
  double sum = 0, squares = 0;
  const int n = 100'000;
  for (int i = 0; i < n; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.02);
  EXPECT_NEAR(squares / n, 1, 0.02);
}

}  // namespace
}  // namespace espalier
