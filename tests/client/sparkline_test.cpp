#include "client/sparkline.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espalier::client {
namespace {

TEST(Sparkline, GoesFromTheLowestToTheHighestValue) {
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 60), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline({3, -1, 3}, 60), "█▁█");
}

TEST(Sparkline, AveragesWhatDoesNotFit) { EXPECT_EQ(sparkline({0, 2, 7, 9, 1, 1}, 3), "▁█▁"); }

TEST(Sparkline, LeavesOutWhatIsNotFinite) {
  EXPECT_EQ(sparkline({NAN, 1, INFINITY, 2}, 10), "▁█");
  EXPECT_EQ(sparkline({NAN}, 10), "");
  EXPECT_EQ(sparkline({}, 10), "");
}

TEST(Sparkline, DrawsAConstantAtTheBottom) { EXPECT_EQ(sparkline({5, 5, 5}, 10), "▁▁▁"); }

}  // namespace
}  // namespace espalier::client
