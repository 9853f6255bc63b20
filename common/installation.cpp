#include "common/installation.h"

#include <system_error>

namespace espalier {

namespace fs = std::filesystem;

fs::path programs_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

fs::path nano_base(const fs::path& programs) {
  for (const auto& candidate : {programs / "../../models/nano", programs / "../share/espalier/models/nano"}) {
    std::error_code error;
    if (fs::exists(candidate / "pipeline.json", error)) return fs::canonical(candidate);
  }
  return {};
}

fs::path private_folder(const fs::path& programs) {
  std::error_code error;
  const fs::path folder = programs / "../lib/espalier";
  return fs::is_directory(folder, error) ? fs::canonical(folder) : fs::path();
}

fs::path find_base(const fs::path& base) {
  std::error_code error;
  if (base != kDefaultBase || fs::exists(base, error)) return base;
  const fs::path nano = nano_base(programs_folder());
  return nano.empty() ? base : nano;
}

}  // namespace espalier
