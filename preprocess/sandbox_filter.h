#pragma once

#include <seccomp.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "common/status.h"

// What both kinds of confinement are made of; not for other folders.
namespace espalier::preprocess::internal {

// UNAVAILABLE "sandbox: what: the error's text".
Status unavailable(std::string_view what, int error);

struct FilterRelease {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterRelease>;

// A tree, or a file, that may be read.
struct Readable {
  std::filesystem::path path;
  bool executable = false;
};

// Landlock: of the file system only what `readable` names, and nothing for writing. Paths that do not exist are left
// out. False: the kernel does not have it, and nothing is restricted.
Result<bool> restrict_files(const std::vector<Readable>& readable);

}  // namespace espalier::preprocess::internal
