#include "common/status.h"

#include "absl/strings/str_cat.h"

namespace espalier {

Status annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status annotated(status.code(), absl::StrCat(std::string(context), ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

}  // namespace espalier
