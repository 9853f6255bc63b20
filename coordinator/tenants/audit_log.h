#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/tenants/caller.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// What was done with power, append-only and hash-chained: each row holds the SHA-256 of the row before and itself, and
// the database refuses to change or delete rows. Works in the open transaction of `sql`: append in the transaction that
// does what the entry tells.
class AuditLog {
 public:
  explicit AuditLog(soci::session& sql) : sql_(sql) {}

  struct Entry {
    std::string principal;            // Caller::principal, or "coordinator"
    std::string tenant_id;            // where it was done
    std::string action;               // "key.create", "credit.grant", "artefact.delete", …
    std::string target;               // id of what was made, changed or removed
    std::string details_json = "{}";  // never a secret
  };
  void append(const Entry& entry, long long now_us);

  struct Row {
    long long number = 0;  // 1, 2, 3, …
    long long time_us = 0;
    Entry entry;
    std::string sha256;  // of the row before and this one
  };
  // Newest first; of all tenants when `tenant_id` is empty.
  std::vector<Row> list(const std::string& tenant_id, const PageQuery& page);

  struct Verified {
    long long entries = 0;
    std::string sha256;  // of the newest entry; of nothing when there is none
  };
  // DATA_LOSS: names the first entry that does not follow from those before it.
  Result<Verified> verify();

 private:
  soci::session& sql_;
};

v1::AuditEntry to_proto(const AuditLog::Row& row);

}  // namespace espalier::coordinator
