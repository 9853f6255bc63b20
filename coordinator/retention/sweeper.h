#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Removes what has outlived its retention time and what a crash left behind. A sweep may be cut off anywhere and
// repeated; what it removes it removes by the same checked transactions as a client's deletion. Not thread-safe.
class Sweeper {
 public:
  // All must outlive the sweeper.
  Sweeper(Database& database, ArtefactLibrary& artefacts, RetentionConfig retention, const Clock& clock)
      : database_(database), artefacts_(artefacts), retention_(retention), clock_(clock) {}

  struct Swept {
    int64_t artefacts = 0;        // expired
    int64_t log_lines = 0;        // rows
    int64_t orphans = 0;          // contents without an artefact
    int64_t partial_uploads = 0;  // files
  };
  Result<Swept> sweep();

 private:
  using Candidates = std::vector<std::pair<std::string, std::string>>;  // tenant id, artefact id
  Result<Candidates> expired();
  Result<bool> remove(const std::string& tenant_id, const std::string& artefact_id);
  Result<int64_t> remove_log_lines();
  long long before(Milliseconds age) const;

  Database& database_;
  ArtefactLibrary& artefacts_;
  const RetentionConfig retention_;
  const Clock& clock_;
};

}  // namespace espalier::coordinator
