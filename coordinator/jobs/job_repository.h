#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Where a listing goes on: rows with a number below it. Newest first.
struct PageQuery {
  long long before_number = 0;  // 0: from the newest
  int size = 50;
};

// Jobs in the open transaction of `sql`. Make one per transaction. Database errors are exceptions that
// Database::transaction turns into a Status.
class JobRepository {
 public:
  explicit JobRepository(soci::session& sql) : sql_(sql) {}

  void insert(const JobRecord& job);
  // Writes everything that can change after the insert.
  void update(const JobRecord& job);
  // NOT_FOUND also for another tenant's job. `tenant_id` empty: any tenant (internal use).
  Result<JobRecord> find(const std::string& id, const std::string& tenant_id);
  Result<std::optional<JobRecord>> find_by_request(const std::string& tenant_id, const std::string& request_id);
  // `states` empty: all.
  Result<std::vector<JobRecord>> list(const std::string& tenant_id, const std::vector<v1::JobState>& states,
                                      const PageQuery& page);
  // Queued jobs of all tenants submitted before it.
  int queued_before(long long number);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
