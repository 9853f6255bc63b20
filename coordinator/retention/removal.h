#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Removes rows of jobs, datasets, adapters and artefacts in the open transaction of `sql`, unless something needs them.
// The bytes go after the commit: hand contents() to ArtefactLibrary::drop_content. A crash in between leaves orphans,
// which the sweeper collects. Postings, usage and invoices are never touched.
//
// FAILED_PRECONDITION names who needs what was to be removed; roll the transaction back then.
class Removal {
 public:
  explicit Removal(soci::session& sql) : sql_(sql) {}

  // NOT_FOUND also for another tenant's.
  Status artefact(const std::string& tenant_id, const std::string& id);
  Status dataset(const std::string& tenant_id, const std::string& id);
  Status adapter(const std::string& tenant_id, const std::string& id);
  // The job's row stays, marked and unseen: usage, invoices and the fair share refer to it.
  Status job(const std::string& tenant_id, const std::string& id, long long now_us);

  // SHA-256 of contents that lost a row; another row may still have them.
  const std::vector<std::string>& contents() const { return contents_; }

 private:
  std::vector<std::string> users(const ArtefactRecord& artefact);
  Status check_unused(const std::string& what, const std::vector<std::string>& users);
  std::vector<std::string> texts(const std::string& query, const std::string& tenant_id, const std::string& value);
  Status unused_artefact(const std::string& tenant_id, const std::string& id);
  Status datasets_of(const JobRecord& job);
  Status artefacts_of(const JobRecord& job);

  soci::session& sql_;
  std::vector<std::string> contents_;
};

}  // namespace espalier::coordinator
