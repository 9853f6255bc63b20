#include "common/cgroup.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

// Version 1 says "no limit" with the largest multiple of a page.
constexpr int64_t kNoMemoryLimit = int64_t{1} << 60;

std::vector<std::string> words_of(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return absl::StrSplit(line, ' ', absl::SkipEmpty());
}

std::optional<int64_t> number_in(const fs::path& file) {
  const auto words = words_of(file);
  int64_t number;
  if (words.empty() || !absl::SimpleAtoi(words[0], &number)) return std::nullopt;
  return number;
}

template <class T>
void narrow(std::optional<T>& limit, T found) {
  limit = limit ? std::min(*limit, found) : found;
}

void add_memory(CgroupLimits& limits, const fs::path& file) {
  const auto bytes = number_in(file);  // "max" is no number
  if (bytes && *bytes > 0 && *bytes < kNoMemoryLimit) narrow(limits.memory_bytes, *bytes);
}

void add_cores(CgroupLimits& limits, std::optional<int64_t> quota, std::optional<int64_t> period) {
  if (quota && period && *quota > 0 && *period > 0) {
    narrow(limits.cores, static_cast<double>(*quota) / static_cast<double>(*period));
  }
}

void add_unified(CgroupLimits& limits, const fs::path& folder) {
  const auto words = words_of(folder / "cpu.max");  // "200000 100000", "max 100000"
  int64_t quota, period;
  if (words.size() == 2 && absl::SimpleAtoi(words[0], &quota) && absl::SimpleAtoi(words[1], &period)) {
    add_cores(limits, quota, period);
  }
  add_memory(limits, folder / "memory.max");
}

void add_legacy(CgroupLimits& limits, const fs::path& folder) {
  add_cores(limits, number_in(folder / "cpu.cfs_quota_us"), number_in(folder / "cpu.cfs_period_us"));
  add_memory(limits, folder / "memory.limit_in_bytes");
}

// The group's folder and those above it, the root last. In a container the path may be the host's, which is not there:
// the root then is the container's own group.
void climb(const fs::path& root, const std::string& group, const std::function<void(const fs::path&)>& visit) {
  fs::path path = fs::path(group).relative_path().lexically_normal();
  if (path.empty() || *path.begin() == "..") path = ".";
  for (; !path.empty() && path != "."; path = path.parent_path()) visit(root / path);
  visit(root);
}

}  // namespace

CgroupLimits cgroup_limits(const CgroupPlace& place) {
  CgroupLimits limits;
  std::ifstream groups(place.groups);
  for (std::string line; std::getline(groups, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));  // "4:cpu,cpuacct:/group"
    if (fields.size() != 3) continue;
    if (fields[1].empty()) {
      climb(place.mount, fields[2], [&](const fs::path& folder) { add_unified(limits, folder); });
      continue;
    }
    for (const std::string& controller : std::vector<std::string>(absl::StrSplit(fields[1], ','))) {
      if (controller != "cpu" && controller != "memory") continue;
      climb(place.mount / controller, fields[2], [&](const fs::path& folder) { add_legacy(limits, folder); });
    }
  }
  return limits;
}

}  // namespace espalier
