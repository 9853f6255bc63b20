#include "common/status.h"

#include "absl/strings/str_cat.h"

namespace espalier {

Status annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Status(status.code(), absl::StrCat(std::string(context), ": ", status.message()));
}

}  // namespace espalier
