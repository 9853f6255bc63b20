#include <algorithm>

#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

v1::PreparationStatus skipped_preparation(const JobRecord& job) {
  v1::PreparationStatus status;
  status.set_state(v1::STAGE_STATE_SKIPPED);
  status.set_reused(true);
  status.set_dataset_id(job.dataset_id);
  return status;
}

v1::StageState shared_state(const std::vector<const TaskRecord*>& tasks) {
  const auto any = [&](v1::StageState state) {
    return std::any_of(tasks.begin(), tasks.end(), [state](const TaskRecord* task) { return task->state == state; });
  };
  if (any(v1::STAGE_STATE_FAILED)) return v1::STAGE_STATE_FAILED;
  if (tasks.back()->state == v1::STAGE_STATE_SUCCEEDED) return v1::STAGE_STATE_SUCCEEDED;
  if (any(v1::STAGE_STATE_RUNNING)) return v1::STAGE_STATE_RUNNING;
  if (any(v1::STAGE_STATE_CANCELLED)) return v1::STAGE_STATE_CANCELLED;
  return v1::STAGE_STATE_WAITING;
}

v1::DenoiserStatus denoiser_status(const TaskRecord& task) {
  v1::DenoiserStatus status = task.training;
  status.set_denoiser(task.denoiser);
  status.set_state(task.state);
  status.set_attempt(task.attempt);
  status.set_error(task.error);
  return status;
}

void set_times(const JobRecord& job, v1::Job& out) {
  *out.mutable_create_time() = to_timestamp(job.create_us);
  if (job.start_us > 0) *out.mutable_start_time() = to_timestamp(job.start_us);
  if (job.end_us > 0) *out.mutable_end_time() = to_timestamp(job.end_us);
}

}  // namespace

v1::PreparationStatus preparation_status(const JobRecord& job, const std::vector<TaskRecord>& tasks) {
  std::vector<const TaskRecord*> parts;  // shards by number, then the merge; or the one preparation
  for (const TaskRecord& task : tasks) {
    if (task.is_preparation()) parts.push_back(&task);
  }
  if (parts.empty()) return skipped_preparation(job);
  v1::PreparationStatus status;
  for (const TaskRecord* part : parts) {
    status.set_attempt(std::max(status.attempt(), part->attempt));
    if (status.error().empty()) status.set_error(part->error);
    if (part->kind == TaskKind::kMerge) continue;
    status.set_objects_done(status.objects_done() + part->preparation.objects_done());
    status.set_objects_total(status.objects_total() + part->preparation.objects_total());
    status.set_objects_skipped(status.objects_skipped() + part->preparation.objects_skipped());
  }
  status.set_reused(parts.back()->preparation.reused());
  status.set_state(parts.size() == 1 ? parts[0]->state : shared_state(parts));
  if (status.state() == v1::STAGE_STATE_SUCCEEDED) status.set_dataset_id(job.dataset_id);
  return status;
}

Result<v1::Job> describe_job(soci::session& sql, const JobRecord& job) {
  v1::Job out;
  out.set_job_id(job.id);
  out.set_name(job.name);
  *out.mutable_spec() = job.spec;
  out.set_state(job.state);
  out.set_error(job.error);
  for (const std::string& warning : job.warnings) out.add_warnings(warning);
  *out.mutable_estimate() = job.estimate;
  if (is_final(job.state)) *out.mutable_cost() = job.cost;
  out.set_priority(job.priority);
  out.set_queue_position(-1);  // the queue is in memory: whoever answers a client fills it in
  out.set_last_sequence(job.last_sequence);
  set_times(job, out);
  ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql).of_job(job.id));
  *out.mutable_preparation() = preparation_status(job, tasks);
  for (const TaskRecord& task : tasks) {
    if (!task.is_preparation()) *out.add_denoisers() = denoiser_status(task);
  }
  return out;
}

}  // namespace espalier::coordinator
