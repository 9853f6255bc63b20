#include "common/route.h"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Route, ToThisMachineIsItsLoopback) {
  EXPECT_EQ(*address_towards("127.0.0.1"), "127.0.0.1");
  EXPECT_TRUE(address_towards("localhost").ok());
}

TEST(Route, AnUnknownNameIsUnavailable) {
  const auto status = address_towards("no-such-host.invalid").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(std::string(status.message()).find("no-such-host.invalid"), std::string::npos);
}

TEST(Route, ThisMachineHasAName) { EXPECT_FALSE(host_name().empty()); }

}  // namespace
}  // namespace espalier
