#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

v1::PreparationStatus preparation_status(const JobRecord& job, const TaskRecord& task) {
  v1::PreparationStatus status = task.preparation;
  status.set_state(task.state);
  status.set_attempt(task.attempt);
  status.set_error(task.error);
  if (task.state == v1::STAGE_STATE_SUCCEEDED) status.set_dataset_id(job.dataset_id);
  return status;
}

v1::PreparationStatus skipped_preparation(const JobRecord& job) {
  v1::PreparationStatus status;
  status.set_state(v1::STAGE_STATE_SKIPPED);
  status.set_reused(true);
  status.set_dataset_id(job.dataset_id);
  return status;
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
  out.set_queue_position(-1);
  if (job.state == v1::JOB_STATE_QUEUED) out.set_queue_position(JobRepository(sql).queued_before(job.number));
  out.set_last_sequence(job.last_sequence);
  set_times(job, out);
  *out.mutable_preparation() = skipped_preparation(job);
  ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql).of_job(job.id));
  for (const TaskRecord& task : tasks) {
    if (task.is_preparation())
      *out.mutable_preparation() = preparation_status(job, task);
    else
      *out.add_denoisers() = denoiser_status(task);
  }
  return out;
}

}  // namespace espalier::coordinator
