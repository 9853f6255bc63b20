#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Tasks, their attempts and the members of running ones, in the open transaction of `sql`.
class TaskRepository {
 public:
  explicit TaskRepository(soci::session& sql) : sql_(sql) {}

  void insert(const TaskRecord& task);
  void update(const TaskRecord& task);
  Result<TaskRecord> find(const std::string& id);
  // By position: the preparation first when there is one.
  Result<std::vector<TaskRecord>> of_job(const std::string& job_id);
  // Waiting and running tasks of all jobs.
  Result<std::vector<TaskRecord>> unfinished();
  // With a member on the worker.
  Result<std::vector<TaskRecord>> running_on(const std::string& worker_id);

  // Replaces the members by those of `task`.
  void put_members(const TaskRecord& task);

  // A number greater than all before it, also after a restart.
  long long next_fencing_token();
  void open_attempt(const TaskRecord& task, long long now_us);
  // `outcome`: "succeeded", "failed: …", "lost: …", "handed back", "cancelled".
  void close_attempt(const TaskRecord& task, long long now_us, const std::string& outcome);

  // What ran after `from_us`, for the tenants' usage. `end_us` is 0 while it runs.
  struct Ran {
    std::string tenant_id;
    int ranks = 0;
    long long start_us = 0;
    long long end_us = 0;
  };
  std::vector<Ran> ran_since(long long from_us);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
