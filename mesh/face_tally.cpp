#include "mesh/face_tally.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::mesh::internal {

void FaceTally::drop(ImportError error, std::string why) {
  if (++dropped_ > 1) return;
  error_ = error;
  why_ = std::move(why);
}

Status FaceTally::finish(Scene& scene) const {
  if (dropped_ == 0) return absl::OkStatus();
  const std::string what = absl::StrCat(dropped_, " of ", kept_ + dropped_, " faces cannot be used, the first: ", why_);
  if (dropped_ > kept_) return import_error(error_, what);
  warn(scene, absl::StrCat(what, "; left out"));
  return absl::OkStatus();
}

}  // namespace espalier::mesh::internal
