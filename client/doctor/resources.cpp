#include "client/doctor/resources.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/board.h"
#include "common/cores.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kLittleMemory = 4 * kGiB;  // a training on the nano base takes 2.7 GB
constexpr int64_t kNoDisk = kGiB;            // below that the coordinator refuses uploads (limits.min_free_disk)
constexpr int64_t kLittleDisk = 10 * kGiB;

std::optional<int64_t> total_memory(const fs::path& proc) {
  std::ifstream info(proc / "meminfo");
  std::string name, unit;
  for (int64_t kib; info >> name >> kib >> unit;) {
    if (name == "MemTotal:") return kib * 1024;
  }
  return std::nullopt;
}

}  // namespace

DoctorRow cores_row(int processors, const CgroupPlace& place, const std::string& omp_threads) {
  const int cores = usable_cores(processors, place);
  DoctorRow row{"cores", Health::kOk, absl::StrCat(cores)};
  if (cores < processors) absl::StrAppend(&row.found, " of ", processors, ", by the control group's quota");
  int threads = 0;
  if (absl::SimpleAtoi(omp_threads, &threads) && threads > cores) {
    row.health = Health::kWarn;
    absl::StrAppend(&row.found, "; OMP_NUM_THREADS is ", threads);
    row.remedy = "unset OMP_NUM_THREADS: more threads than cores wait for each other";
  }
  return row;
}

DoctorRow memory_row(const fs::path& proc, const CgroupPlace& place) {
  const auto total = total_memory(proc);
  if (!total) {
    return {"memory", Health::kWarn, absl::StrCat((proc / "meminfo").string(), " does not tell"), "mount /proc"};
  }
  const int64_t usable = std::min(*total, cgroup_limits(place).memory_bytes.value_or(*total));
  DoctorRow row{"memory", Health::kOk, cli::bytes_text(usable)};
  if (usable < *total) absl::StrAppend(&row.found, " of ", cli::bytes_text(*total), ", by the control group's limit");
  if (usable < kLittleMemory) {
    row.health = Health::kWarn;
    row.remedy = absl::StrCat("at least ", cli::bytes_text(kLittleMemory), " for a training on the nano base");
  }
  return row;
}

DoctorRow disk_row(const std::string& what, const fs::path& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder);
  while (!fs::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  const fs::space_info space = fs::space(existing, error);
  if (error) return {what, Health::kFail, absl::StrCat(folder.string(), ": ", error.message()), "name another folder"};
  return disk_row(what, folder, static_cast<int64_t>(space.available));
}

DoctorRow disk_row(const std::string& what, const fs::path& folder, int64_t free_bytes) {
  DoctorRow row{what, Health::kOk, absl::StrCat(cli::bytes_text(free_bytes), " free in ", folder.string())};
  if (free_bytes >= kLittleDisk) return row;
  row.health = free_bytes < kNoDisk ? Health::kFail : Health::kWarn;
  row.remedy = absl::StrCat("make room: a training wants ", cli::bytes_text(kLittleDisk),
                            ", uploads are refused below ", cli::bytes_text(kNoDisk));
  return row;
}

}  // namespace espalier::client
