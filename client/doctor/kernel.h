#pragma once

#include <filesystem>

#include "client/doctor/row.h"

namespace espalier::client {

// What confines the programs that read strangers' files.
struct KernelFacts {
  int landlock = 0;  // version of its interface; 0: not there
  bool seccomp = false, no_new_privs = false;
};

// `proc`: where procfs is mounted.
KernelFacts read_kernel(const std::filesystem::path& proc = "/proc");

DoctorRows kernel_rows(const KernelFacts& facts);

}  // namespace espalier::client
