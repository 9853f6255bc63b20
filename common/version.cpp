#include "common/version.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base_description.h"
#include "common/build_facts.h"
#include "common/files.h"
#include "common/installation.h"
#include "common/sha256.h"

namespace espalier {
namespace {

std::string base_text() {
  const auto folder = nano_base(programs_folder());
  if (folder.empty()) return "none found";
  const auto base = describe_base(folder);
  const auto manifest = read_file(folder / "espalier.json", uint64_t{1} << 20);
  if (!base.ok() || !manifest.ok()) return absl::StrCat("unreadable: ", folder.string());
  // The manifest holds the digests of all files, so its own stands for the whole base.
  return absl::StrCat(base->name, " (", sha256_hex(*manifest).substr(0, 12), ") in ", folder.string());
}

}  // namespace

const char* version() { return kVersion; }
const char* libtorch_version() { return kLibTorch; }
const char* cuda_version() { return kCuda; }
std::vector<std::string> libtorch_companions() { return absl::StrSplit(kLibTorchCompanions, ' '); }

std::string version_text(const std::string& program) {
  return absl::StrCat(program, " ", kVersion, " (commit ", kCommit, ")\nLibTorch ", kLibTorch, ", CUDA ", kCuda,
                      "\nbase ", base_text());
}

}  // namespace espalier
