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

// What scheduling needs to know of a job.
struct UnfinishedJob {
  std::string id;
  std::string tenant_id;
  v1::Priority priority = v1::PRIORITY_NORMAL;
  v1::JobState state = v1::JOB_STATE_QUEUED;
  long long create_us = 0;
  long long number = 0;
  int expected_objects = 0;
};

// Jobs in the open transaction of `sql`. Make one per transaction. Database errors are exceptions that
// Database::transaction turns into a Status.
class JobRepository {
 public:
  explicit JobRepository(soci::session& sql) : sql_(sql) {}

  // Gives the job its number.
  void insert(JobRecord& job);
  // Writes everything that can change after the insert.
  void update(const JobRecord& job);
  // NOT_FOUND also for another tenant's job and a deleted one. `tenant_id` empty: any job (internal use).
  Result<JobRecord> find(const std::string& id, const std::string& tenant_id);
  Result<std::optional<JobRecord>> find_by_request(const std::string& tenant_id, const std::string& request_id);
  // `states` empty: all.
  Result<std::vector<JobRecord>> list(const std::string& tenant_id, const std::vector<v1::JobState>& states,
                                      const PageQuery& page);
  // All jobs that have not ended, in order of submission.
  std::vector<UnfinishedJob> unfinished();

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
