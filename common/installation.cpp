#include "common/installation.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace espalier {

namespace fs = std::filesystem;

namespace {

constexpr int kFoldersAbove = 3;  // of the program, in which a .venv-blender is looked for

bool is_executable(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0;
}

fs::path installed_beside_program() {
  fs::path folder = programs_folder();
  for (int i = 0; i < kFoldersAbove && folder.has_relative_path(); ++i, folder = folder.parent_path()) {
    const fs::path python = folder / ".venv-blender" / "bin" / "python";
    if (is_executable(python)) return python;
  }
  return {};
}

fs::path on_path() {
  const char* path = std::getenv("PATH");
  if (path == nullptr) return {};
  for (const std::string& folder : std::vector<std::string>(absl::StrSplit(path, ':', absl::SkipEmpty()))) {
    const fs::path program = fs::path(folder) / "blender";
    if (program.is_absolute() && is_executable(program)) return program;
  }
  return {};
}

}  // namespace

fs::path programs_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

fs::path nano_base(const fs::path& programs) {
  for (const auto& candidate : {programs / "../../models/nano", programs / "../share/espalier/models/nano"}) {
    std::error_code error;
    if (fs::exists(candidate / "pipeline.json", error)) return fs::canonical(candidate);
  }
  return {};
}

fs::path libtorch_link(const fs::path& programs) {
  const fs::path libraries = (programs / "../lib/espalier").lexically_normal();
  std::error_code error;
  return fs::is_directory(libraries, error) ? libraries / "torch" : fs::path();
}

Status check_libtorch(const fs::path& programs) {
  const fs::path link = libtorch_link(programs);
  std::error_code error;
  if (link.empty() || fs::exists(link / "lib/libtorch_cpu.so", error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("LibTorch is not in place (", link.string(),
                   "), and training and inference need it; `espalier setup` puts it there, once"));
}

fs::path find_base(const fs::path& base) {
  std::error_code error;
  if (base != kDefaultBase || fs::exists(base, error)) return base;
  const fs::path nano = nano_base(programs_folder());
  return nano.empty() ? base : nano;
}

Result<fs::path> find_blender(const fs::path& wanted) {
  const char* named = std::getenv("ESPALIER_BLENDER");
  const fs::path given = wanted.empty() && named != nullptr ? fs::path(named) : wanted;
  if (given == "none") return absl::NotFoundError("reading .blend files is switched off (blender: none)");
  if (!given.empty()) {
    if (is_executable(given)) return fs::absolute(given);
    return absl::NotFoundError(absl::StrCat("blender: ", given.string(), " is not an executable file"));
  }
  if (fs::path found = installed_beside_program(); !found.empty()) return found;
  if (fs::path found = on_path(); !found.empty()) return found;
  return absl::NotFoundError(
      ".blend files are read by Blender, and there is none: run scripts/install-blender, or name one (--blender; of a "
      "worker: preprocess.blender)");
}

}  // namespace espalier
