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

}  // namespace espalier
