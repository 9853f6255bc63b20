#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/config.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// What of a job's work a transaction has changed: for those who keep a picture of it in memory, after the commit.
struct WorkChange {
  UnfinishedJob job;              // in its new state, which may also be a final one
  std::vector<TaskRecord> tasks;  // new, or in another state, or with other members
};

// What happens to a job and its tasks: every change of state, with its event, in the open transaction of `sql`. The
// functions take records that the caller has read in this transaction and write them back.
//
// Rules: prepare once, then all denoisers on their own. A task that fails is tried again after a pause that doubles,
// up to the limit. When the last task has ended the job ends: SUCCEEDED with every adapter, PARTIALLY_SUCCEEDED with
// some, FAILED with none. A failed job costs nothing, a cancelled one what the price list says. A preparation may be
// shared out to shards, which a merge joins; the members of a gang share one attempt, which is lost when one of them
// is. An adapter may be judged after its training; what happens then takes nothing from it.
class Lifecycle {
 public:
  Lifecycle(soci::session& sql, const LeaseConfig& leases, const std::string& base_name, long long now_us)
      : sql_(sql), leases_(leases), base_name_(base_name), now_us_(now_us) {}

  // Stores a new job with its tasks. `reused` is the dataset it starts from; its id is empty for a job that prepares.
  Status create(JobRecord& job, const v1::Dataset& reused);

  // Makes a preparation that has not begun the first of `shards`.
  Status share_out(JobRecord& job, TaskRecord& task, int shards);
  // A new attempt by these workers, member 0 first: next attempt number, new fencing token.
  Status lease(JobRecord& job, TaskRecord& task, const std::vector<std::string>& worker_ids);
  Status started(JobRecord& job, TaskRecord& task, int resumed_at_step);
  // Member 0 of a gang listens on `port`: the others may come. INVALID_ARGUMENT: a port that cannot be.
  Status rendezvous(TaskRecord& task, int port);
  // A member works. When all do, the time for the rendezvous is not limited any more.
  Status joined(TaskRecord& task, int member);
  // A member has trained to the end. INVALID_ARGUMENT for member 0, which has to tell the result.
  Status member_done(TaskRecord& task, int member);
  // Of a job that is being cancelled: a member has stopped. With the last one the task ends.
  Status member_stopped(JobRecord& job, TaskRecord& task, int member);
  // The artefacts named by the result must exist and be outputs of this job: INVALID_ARGUMENT otherwise.
  Status prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result);
  Status trained(JobRecord& job, TaskRecord& task, const v1::TrainResult& result);
  // An adapter that is still to be judged. From here on its training has succeeded: when the attempt is lost, stopped
  // or handed back, it ends without the evaluation.
  Status adapter_stored(JobRecord& job, TaskRecord& task, const v1::TrainResult& result);
  // Permanent failures and those beyond the limit end the task, others wait for the next attempt.
  Status failed(JobRecord& job, TaskRecord& task, const std::string& error, bool permanent);
  // The worker gave the task back unfinished: goes on at once, and the attempt does not count.
  Status handed_back(JobRecord& job, TaskRecord& task);
  // Begins (or, when nothing runs, completes) the cancellation; ended and ending jobs stay as they are.
  Status cancel(JobRecord& job);
  Status checkpoint(TaskRecord& task, int step, const std::string& artefact_id);

  WorkChange change(const JobRecord& job) const;
  // Checkpoints and parts that nobody needs any more; remove them after the commit. Tenant and artefact id.
  const std::vector<std::pair<std::string, std::string>>& obsolete() const { return obsolete_; }

 private:
  void add_task(const TaskRecord& task);
  void touch(const TaskRecord& task);
  Status move_job(JobRecord& job, v1::JobState state, const std::string& error = "");
  // Out of a running attempt its members go.
  Status move_task(JobRecord& job, TaskRecord& task, v1::StageState state, const std::string& error = "");
  void emit_stage(JobRecord& job, const TaskRecord& task, int resumed_at_step);
  Status tell_stage(JobRecord& job, const TaskRecord& task, int resumed_at_step);
  Status tell_shared_stage(JobRecord& job, const TaskRecord& task);
  Status put_adapter(JobRecord& job, TaskRecord& task, const v1::TrainResult& result);
  Status unevaluated(JobRecord& job, TaskRecord& task, const std::string& why);
  void tell_evaluation(JobRecord& job, TaskRecord& task, const v1::TrainResult& result);
  Status shard_prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result);
  Status stopped(JobRecord& job, TaskRecord& task);
  long long rendezvous_end() const;
  Status store_members(TaskRecord& task);
  void drop_reserved(TaskRecord& task);
  // Ends the job when nothing is left to do.
  Status settle(JobRecord& job);
  Status settle_cancelled(JobRecord& job, std::vector<TaskRecord>& tasks);
  Status settle_unprepared(JobRecord& job, std::vector<TaskRecord>& tasks, const std::string& error);
  Status settle_trained(JobRecord& job, const std::vector<TaskRecord>& tasks);
  Status release_trainings(JobRecord& job, const v1::Dataset& dataset);
  // Sets the cost of a job that has just ended and books it.
  Status charge(JobRecord& job);
  Status check_output(const JobRecord& job, const std::string& artefact_id, v1::ArtefactKind kind,
                      ArtefactRecord* found);
  void drop_checkpoint(TaskRecord& task);
  void drop_parts(std::vector<TaskRecord>& tasks);

  soci::session& sql_;
  const LeaseConfig& leases_;
  const std::string& base_name_;
  const long long now_us_;
  std::vector<std::pair<std::string, std::string>> obsolete_;
  std::vector<TaskRecord> touched_;
};

TaskRecord new_task(const JobRecord& job, TaskKind kind, v1::StageState state);

// The job as the API shows it.
Result<v1::Job> describe_job(soci::session& sql, const JobRecord& job);

// The preparation of a job with these tasks, shards and merge taken together; SKIPPED when it has none.
v1::PreparationStatus preparation_status(const JobRecord& job, const std::vector<TaskRecord>& tasks);

}  // namespace espalier::coordinator
