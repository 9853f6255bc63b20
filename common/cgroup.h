#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace espalier {

// Where the kernel shows the control groups of a process; tests have trees of their own.
struct CgroupPlace {
  std::filesystem::path groups = "/proc/self/cgroup";  // the file that names them
  std::filesystem::path mount = "/sys/fs/cgroup";
};

// The narrowest limits between the process's control group and the root of the tree that it sees; absent: none.
struct CgroupLimits {
  std::optional<double> cores;          // processor seconds per second
  std::optional<int64_t> memory_bytes;  // beyond which the kernel kills
};

// Reads cgroup v2 (cpu.max, memory.max) and v1 (cpu.cfs_quota_us, memory.limit_in_bytes). What cannot be read is no
// limit.
CgroupLimits cgroup_limits(const CgroupPlace& place = {});

}  // namespace espalier
