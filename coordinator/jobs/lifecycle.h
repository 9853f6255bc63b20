#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/config.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// What happens to a job and its tasks: every change of state, with its event, in the open transaction of `sql`. The
// functions take records that the caller has read in this transaction and write them back.
//
// Rules: prepare once, then all denoisers on their own. A task that fails is tried again after a pause that doubles,
// up to the limit. When the last task has ended the job ends: SUCCEEDED with every adapter, PARTIALLY_SUCCEEDED with
// some, FAILED with none. A failed or cancelled job costs nothing.
class Lifecycle {
 public:
  Lifecycle(soci::session& sql, const LeaseConfig& leases, const std::string& base_name, long long now_us)
      : sql_(sql), leases_(leases), base_name_(base_name), now_us_(now_us) {}

  // Stores a new job with its tasks. `reused` is the dataset it starts from; its id is empty for a job that prepares.
  Status create(JobRecord& job, const v1::Dataset& reused);

  // A new attempt for `worker_id`: next attempt number, new fencing token.
  Status lease(JobRecord& job, TaskRecord& task, const std::string& worker_id);
  Status started(JobRecord& job, TaskRecord& task, int resumed_at_step);
  // The artefacts named by the result must exist and be outputs of this job: INVALID_ARGUMENT otherwise.
  Status prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result);
  Status trained(JobRecord& job, TaskRecord& task, const v1::TrainResult& result);
  // Permanent failures and those beyond the limit end the task, others wait for the next attempt.
  Status failed(JobRecord& job, TaskRecord& task, const std::string& error, bool permanent);
  // The worker gave the task back unfinished: goes on at once, and the attempt does not count.
  Status handed_back(JobRecord& job, TaskRecord& task);
  // Ends a running task of a job that is being cancelled.
  Status stopped(JobRecord& job, TaskRecord& task);
  // Begins (or, when nothing runs, completes) the cancellation; ended and ending jobs stay as they are.
  Status cancel(JobRecord& job);
  Status checkpoint(TaskRecord& task, int step, const std::string& artefact_id);

  // Checkpoints that nobody needs any more; remove them after the commit. Tenant and artefact id.
  const std::vector<std::pair<std::string, std::string>>& obsolete() const { return obsolete_; }

 private:
  Status move_job(JobRecord& job, v1::JobState state, const std::string& error = "");
  Status move_task(JobRecord& job, TaskRecord& task, v1::StageState state, const std::string& error = "",
                   int resumed_at_step = 0);
  void emit_stage(JobRecord& job, const TaskRecord& task, int resumed_at_step);
  // Ends the job when nothing is left to do.
  Status settle(JobRecord& job);
  Status settle_cancelled(JobRecord& job, std::vector<TaskRecord>& tasks);
  Status settle_trained(JobRecord& job, const std::vector<TaskRecord>& tasks);
  Status release_trainings(JobRecord& job, const v1::Dataset& dataset);
  Status set_cost(JobRecord& job, const std::vector<TaskRecord>& tasks);
  Status check_output(const JobRecord& job, const std::string& artefact_id, v1::ArtefactKind kind,
                      ArtefactRecord* found);
  void drop_checkpoint(TaskRecord& task);

  soci::session& sql_;
  const LeaseConfig& leases_;
  const std::string& base_name_;
  const long long now_us_;
  std::vector<std::pair<std::string, std::string>> obsolete_;
};

// The job as the API shows it.
Result<v1::Job> describe_job(soci::session& sql, const JobRecord& job);

v1::Cost to_proto(const billing::Invoice& invoice);

}  // namespace espalier::coordinator
