#include "process/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace espalier::process {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Environment, LeavesOutTheVariablesOfTheseNamesAlone) {
  ::setenv("ESPALIER_TEST_SECRET", "s", 1);
  ::setenv("ESPALIER_TEST_SECRETS", "a=b", 1);
  const auto environment = environment_without({"ESPALIER_TEST_SECRET"});
  EXPECT_THAT(environment, Not(Contains(StartsWith("ESPALIER_TEST_SECRET="))));
  EXPECT_THAT(environment, Contains("ESPALIER_TEST_SECRETS=a=b"));
  ::unsetenv("ESPALIER_TEST_SECRET");
  ::unsetenv("ESPALIER_TEST_SECRETS");
}

}  // namespace
}  // namespace espalier::process
