#include "common/failpoint.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace espalier {
namespace {

// Each runs in a process of its own: the variable is read once.
class FailpointDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override { ::unsetenv("ESPALIER_FAILPOINTS"); }
  static void set(const char* value) { ::setenv("ESPALIER_FAILPOINTS", value, 1); }
};

// The exit code tells at which of five times the place failed, one bit each.
[[noreturn]] void exit_with_failures(const char* place) {
  int bits = 0;
  for (int i = 0; i < 5; ++i) bits |= internal::reached_failpoint(place) ? 1 << i : 0;
  std::_Exit(bits);
}

TEST_F(FailpointDeathTest, FailsInTheNamedRangeOnly) {
  set("one=fail@2-3;two=fail@1");
  EXPECT_EXIT(exit_with_failures("one"), testing::ExitedWithCode(0b00110), "");
  EXPECT_EXIT(exit_with_failures("two"), testing::ExitedWithCode(0b00001), "");
  EXPECT_EXIT(exit_with_failures("three"), testing::ExitedWithCode(0), "");
}

TEST_F(FailpointDeathTest, EndsTheProcessAtTheNamedTime) {
  set("one=exit@3");
  EXPECT_EXIT(exit_with_failures("one"), testing::ExitedWithCode(137), "");
}

TEST_F(FailpointDeathTest, AMalformedValueEndsTheProgramWithTheReason) {
  for (const char* value : {"one", "one=exit", "one=stop@1", "one=fail@0", "one=fail@2-x", "@one=exit"}) {
    set(value);
    EXPECT_EXIT(exit_with_failures("one"), testing::ExitedWithCode(2), "PLACE=exit@N") << value;
  }
}

TEST(Failpoint, DoesNothingWithoutTheVariable) {
  EXPECT_FALSE(internal::failpoints_set);
  EXPECT_FALSE(failpoint("one"));
}

}  // namespace
}  // namespace espalier
