#include "client/doctor/kernel.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace espalier::client {
namespace {

int landlock_version() {
  return static_cast<int>(
      std::max(0L, ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION)));
}

}  // namespace

KernelFacts read_kernel(const std::filesystem::path& proc) {
  KernelFacts facts;
  facts.landlock = landlock_version();
  std::ifstream status(proc / "self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("NoNewPrivs:")) facts.no_new_privs = true;
  }
  std::ifstream actions(proc / "sys/kernel/seccomp/actions_avail");
  for (std::string action; actions >> action;) {
    if (action == "kill_process") facts.seccomp = true;  // what the filter of an importer does
  }
  return facts;
}

DoctorRows kernel_rows(const KernelFacts& facts) {
  DoctorRows rows;
  rows.push_back(facts.landlock > 0
                     ? DoctorRow{"Landlock", Health::kOk, absl::StrCat("version ", facts.landlock)}
                     : DoctorRow{"Landlock", Health::kWarn, "not there: importers can read all files of their user",
                                 "a kernel of 5.13 or newer with landlock among its lsm=…; .blend files need it"});
  rows.push_back(facts.seccomp ? DoctorRow{"seccomp", Health::kOk, "filters"}
                               : DoctorRow{"seccomp", Health::kFail, "no filters: no asset can be imported",
                                           "a kernel with CONFIG_SECCOMP_FILTER, 4.14 or newer"});
  rows.push_back(facts.no_new_privs ? DoctorRow{"no_new_privs", Health::kOk, "there"}
                                    : DoctorRow{"no_new_privs", Health::kFail, "not there: no asset can be imported",
                                                "a kernel of 4.10 or newer, and /proc mounted"});
  return rows;
}

}  // namespace espalier::client
