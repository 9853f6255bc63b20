#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Tasks and their attempts in the open transaction of `sql`.
class TaskRepository {
 public:
  explicit TaskRepository(soci::session& sql) : sql_(sql) {}

  void insert(const TaskRecord& task);
  void update(const TaskRecord& task);
  Result<TaskRecord> find(const std::string& id);
  // By position: the preparation first when there is one.
  Result<std::vector<TaskRecord>> of_job(const std::string& job_id);
  // Waiting tasks whose time has come, in order of submission, at most `limit`.
  Result<std::vector<TaskRecord>> ready(long long now_us, int limit);
  Result<std::vector<TaskRecord>> running_on(const std::string& worker_id);
  Result<std::vector<TaskRecord>> with_lease_before(long long now_us);
  // Gives every running task a lease until then.
  void extend_all_leases(long long until_us);

  // A number greater than all before it, also after a restart.
  long long next_fencing_token();
  void open_attempt(const TaskRecord& task, long long now_us);
  // `outcome`: "succeeded", "failed: …", "lost: …", "handed back", "cancelled".
  void close_attempt(const TaskRecord& task, long long now_us, const std::string& outcome);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
