#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "client/doctor/row.h"
#include "common/cgroup.h"

namespace espalier::client {

// `processors` of the affinity mask, `omp_threads` the value of OMP_NUM_THREADS (empty: not set).
DoctorRow cores_row(int processors, const CgroupPlace& place, const std::string& omp_threads);

// `proc`: where procfs is mounted.
DoctorRow memory_row(const std::filesystem::path& proc, const CgroupPlace& place);

// Room for what is written below `folder`, which need not exist yet.
DoctorRow disk_row(const std::string& what, const std::filesystem::path& folder);
// The same for `free_bytes`.
DoctorRow disk_row(const std::string& what, const std::filesystem::path& folder, int64_t free_bytes);

}  // namespace espalier::client
