#include "common/cores.h"

#include <gtest/gtest.h>

#include "common/cgroup.h"
#include "common/files.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

// A machine with control groups of the test's making.
class CgroupTest : public ::testing::Test {
 protected:
  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((folder_.path() / file).parent_path());
    ASSERT_TRUE(write_file_atomic(folder_.path() / file, text).ok());
  }
  void groups(const std::string& text) { write("cgroup", text); }

  TempDir folder_ = *TempDir::create("cgroup");
  CgroupPlace place_ = {folder_.path() / "cgroup", folder_.path() / "fs"};
};

TEST_F(CgroupTest, NothingToReadIsNoLimit) {
  EXPECT_EQ(usable_cores(8, place_), 8);
  EXPECT_FALSE(cgroup_limits(place_).memory_bytes);
  groups("0::/\n");
  EXPECT_EQ(usable_cores(8, place_), 8);
}

TEST_F(CgroupTest, AQuotaIsRoundedUpToWholeCores) {
  groups("0::/\n");
  const std::pair<const char*, int> rows[] = {{"max 100000\n", 8},     {"200000 100000\n", 2},
                                              {"150000 100000\n", 2},  {"10000 100000\n", 1},
                                              {"100000 50000\n", 2},   {"1600000 100000", 8},
                                              {"0 100000\n", 8},       {"100000 0\n", 8},
                                              {"none\n", 8},           {"", 8},
                                              {"200000 100000 7\n", 8}};
  for (const auto& [text, cores] : rows) {
    write("fs/cpu.max", text);
    EXPECT_EQ(usable_cores(8, place_), cores) << text;
  }
}

TEST_F(CgroupTest, TheNarrowestGroupOnTheWayUpCounts) {
  groups("0::/machine/unit\n");
  write("fs/machine/unit/cpu.max", "400000 100000\n");
  write("fs/machine/unit/memory.max", "max\n");
  write("fs/machine/cpu.max", "300000 100000\n");
  write("fs/machine/memory.max", "4294967296\n");
  EXPECT_EQ(usable_cores(8, place_), 3);
  EXPECT_EQ(cgroup_limits(place_).memory_bytes, int64_t{4} << 30);
}

TEST_F(CgroupTest, InAContainerWithTheHostsPathTheRootIsItsOwnGroup) {
  groups("0::/../../docker/abc\n");
  write("fs/cpu.max", "200000 100000\n");
  EXPECT_EQ(usable_cores(8, place_), 2);
}

TEST_F(CgroupTest, ReadsVersionOne) {
  groups("5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n");
  write("fs/cpu/cpu.cfs_quota_us", "-1\n");
  write("fs/cpu/cpu.cfs_period_us", "100000\n");
  write("fs/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(usable_cores(8, place_), 8);
  EXPECT_FALSE(cgroup_limits(place_).memory_bytes);
  write("fs/cpu/docker/abc/cpu.cfs_quota_us", "250000\n");
  write("fs/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  write("fs/memory/docker/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(usable_cores(8, place_), 3);
  EXPECT_EQ(cgroup_limits(place_).memory_bytes, int64_t{1} << 30);
}

TEST_F(CgroupTest, AMaskNarrowerThanTheQuotaCounts) {
  groups("0::/\n");
  write("fs/cpu.max", "800000 100000\n");
  EXPECT_EQ(usable_cores(2, place_), 2);
  EXPECT_EQ(usable_cores(0, place_), 1);
}

TEST(UsableCores, OfThisMachineAreAtLeastOne) { EXPECT_GE(usable_cores(), 1); }

}  // namespace
}  // namespace espalier
