#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Artefact rows in the open transaction of `sql`; the bytes are in the BlobStore.
class ArtefactRepository {
 public:
  explicit ArtefactRepository(soci::session& sql) : sql_(sql) {}

  void insert(const ArtefactRecord& artefact);
  // NOT_FOUND also for another tenant's.
  Result<ArtefactRecord> find(const std::string& id, const std::string& tenant_id);
  std::optional<ArtefactRecord> find_same(const ArtefactRecord& like);  // tenant, job, kind, name and content equal
  bool tenant_has(const std::string& tenant_id, const std::string& sha256, long long size_bytes);
  // Newest first; `job_id` empty: of all jobs and of none; `kind` UNSPECIFIED: all.
  std::vector<ArtefactRecord> list(const std::string& tenant_id, const std::string& job_id, v1::ArtefactKind kind,
                                   const PageQuery& page);
  void remove(const std::string& id);
  // Of a tenant, each content once.
  long long stored_bytes(const std::string& tenant_id);
  // SHA-256 of everything that any row has.
  std::unordered_set<std::string> contents();
  // Rows of all tenants with this content.
  int references(const std::string& sha256);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
