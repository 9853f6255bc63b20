#pragma once

#include <cstdint>
#include <string>

#include "mesh/import_internal.h"

namespace espalier::mesh::internal {

// Counts the faces of a file that cannot be used. Files with a few of them are common, and Blender leaves such faces
// out; a file of which most is unusable is refused.
class FaceTally {
 public:
  void keep() { ++kept_; }
  // `why` with its place, e.g. "line 7: ..."; the first is told.
  void drop(ImportError error, std::string why);
  uint64_t dropped() const { return dropped_; }

  // One warning with the number of faces left out. More than half of them: the first one's error, with its reason.
  Status finish(Scene& scene) const;

 private:
  uint64_t kept_ = 0, dropped_ = 0;
  ImportError error_ = ImportError::kUnreadable;
  std::string why_;
};

}  // namespace espalier::mesh::internal
