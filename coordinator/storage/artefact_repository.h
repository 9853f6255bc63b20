#pragma once

#include <optional>
#include <string>

#include "common/status.h"
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
  void remove(const std::string& id);
  // Rows of all tenants with this content.
  int references(const std::string& sha256);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
