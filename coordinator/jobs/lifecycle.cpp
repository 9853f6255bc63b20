#include "coordinator/jobs/lifecycle.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/billing/job_price.h"
#include "coordinator/billing/ledger.h"
#include "coordinator/clock.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/proto_json.h"
#include "coordinator/storage/artefact_repository.h"

// States change in lease(), move_task() and move_job() only, against the table of job_state.h. The two latter write the
// event in the same transaction, so a watcher misses no change and sees none that was rolled back. Whatever ends a task
// goes on to settle(), which looks at all tasks of the job anew: who ended last, and in which order, makes no
// difference.
namespace espalier::coordinator {

TaskRecord new_task(const JobRecord& job, TaskKind kind, v1::StageState state) {
  TaskRecord task;
  task.id = new_id("task");
  task.job_id = job.id;
  task.tenant_id = job.tenant_id;
  task.kind = kind;
  task.state = state;
  return task;
}

Status Lifecycle::create(JobRecord& job, const v1::Dataset& reused) {
  const bool prepares = reused.dataset_id().empty();
  job.dataset_id = reused.dataset_id();
  job.create_us = now_us_;
  JobRepository jobs(sql_);
  jobs.insert(job);
  if (prepares) add_task(new_task(job, TaskKind::kPreparation, v1::STAGE_STATE_WAITING));
  int position = 0;
  for (const int denoiser : job.spec.denoisers()) {
    TaskRecord task = new_task(job, TaskKind::kTraining, prepares ? v1::STAGE_STATE_PENDING : v1::STAGE_STATE_WAITING);
    task.denoiser = static_cast<v1::Denoiser>(denoiser);
    task.position = ++position;
    task.ranks = std::max(job.spec.world_size(), 1);
    task.training.set_total_steps(job.spec.steps());
    add_task(task);
  }
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(v1::JOB_STATE_QUEUED);
  EventRepository(sql_).append(job, event, now_us_);
  jobs.update(job);
  return absl::OkStatus();
}

void Lifecycle::add_task(const TaskRecord& task) {
  TaskRepository(sql_).insert(task);
  touch(task);
}

void Lifecycle::touch(const TaskRecord& task) {
  const auto same = std::find_if(touched_.begin(), touched_.end(), [&](const auto& t) { return t.id == task.id; });
  if (same == touched_.end())
    touched_.push_back(task);
  else
    *same = task;
}

WorkChange Lifecycle::change(const JobRecord& job) const {
  return {{job.id, job.tenant_id, job.priority, job.state, job.create_us, job.number, job.expected_objects}, touched_};
}

Status Lifecycle::move_job(JobRecord& job, v1::JobState state, const std::string& error) {
  if (!can_move(job.state, state)) {
    return absl::InternalError(absl::StrCat("job ", job.id, " cannot go from ", v1::JobState_Name(job.state), " to ",
                                            v1::JobState_Name(state)));
  }
  job.state = state;
  job.error = error;
  if (is_final(state)) {
    job.end_us = now_us_;
    ESP_TRY(charge(job));
  }
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(state);
  event.mutable_state_changed()->set_error(error);
  EventRepository(sql_).append(job, event, now_us_);
  JobRepository(sql_).update(job);
  return absl::OkStatus();
}

void Lifecycle::emit_stage(JobRecord& job, const TaskRecord& task, int resumed_at_step) {
  v1::JobEvent event;
  auto* stage = event.mutable_stage_changed();
  stage->set_denoiser(task.denoiser);
  stage->set_state(task.state);
  stage->set_attempt(task.attempt);
  stage->set_error(task.error);
  stage->set_resumed_at_step(resumed_at_step);
  EventRepository(sql_).append(job, event, now_us_);
  JobRepository(sql_).update(job);
}

Status Lifecycle::tell_stage(JobRecord& job, const TaskRecord& task, int resumed_at_step) {
  const bool shared = task.is_shard() || task.kind == TaskKind::kMerge;
  if (shared) return tell_shared_stage(job, task);
  emit_stage(job, task, resumed_at_step);
  return absl::OkStatus();
}

Status Lifecycle::move_task(JobRecord& job, TaskRecord& task, v1::StageState state, const std::string& error) {
  if (!can_move(task.state, state)) {
    return absl::InternalError(absl::StrCat("task ", task.id, " cannot go from ", v1::StageState_Name(task.state),
                                            " to ", v1::StageState_Name(state)));
  }
  task.state = state;
  task.error = error;
  task.members.clear();
  task.rendezvous_until_us = 0;
  if (is_final(state)) drop_checkpoint(task);
  TaskRepository tasks(sql_);
  tasks.put_members(task);
  tasks.update(task);
  touch(task);
  return tell_stage(job, task, /*resumed_at_step=*/0);
}

Status Lifecycle::lease(JobRecord& job, TaskRecord& task, const std::vector<std::string>& worker_ids) {
  if (!can_move(task.state, v1::STAGE_STATE_RUNNING)) {
    return absl::InternalError(absl::StrCat("task ", task.id, " is not waiting"));
  }
  TaskRepository tasks(sql_);
  task.state = v1::STAGE_STATE_RUNNING;
  ++task.attempt;
  task.fencing_token = tasks.next_fencing_token();
  task.worker_id = worker_ids[0];
  task.world_size = static_cast<int>(worker_ids.size());
  if (!task.is_preparation()) task.training.set_world_size(task.world_size);
  task.master_port = 0;
  if (task.world_size > 1) task.rendezvous_until_us = rendezvous_end();
  for (int member = 0; member < task.world_size; ++member) {
    const auto state = member == 0 ? MemberState::kAssigned : MemberState::kReserved;
    task.members.push_back({member, worker_ids[static_cast<size_t>(member)], state});
  }
  tasks.update(task);
  tasks.put_members(task);
  tasks.open_attempt(task, now_us_);
  touch(task);
  if (job.state != v1::JOB_STATE_QUEUED) return absl::OkStatus();
  job.start_us = now_us_;
  return move_job(job, task.is_preparation() ? v1::JOB_STATE_PREPARING : v1::JOB_STATE_TRAINING);
}

Status Lifecycle::started(JobRecord& job, TaskRecord& task, int resumed_at_step) {
  task.error.clear();
  if (!task.is_preparation()) task.training.set_step(resumed_at_step);
  TaskRepository(sql_).update(task);
  touch(task);
  return tell_stage(job, task, resumed_at_step);
}

Status Lifecycle::check_output(const JobRecord& job, const std::string& artefact_id, v1::ArtefactKind kind,
                               ArtefactRecord* found) {
  ESP_ASSIGN(*found, ArtefactRepository(sql_).find(artefact_id, job.tenant_id));
  if (found->kind == kind && found->job_id == job.id) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("artefact ", artefact_id, " is not a ", v1::ArtefactKind_Name(kind), " that this job has stored"));
}

Status Lifecycle::failed(JobRecord& job, TaskRecord& task, const std::string& error, bool permanent) {
  if (task.training.has_adapter()) return unevaluated(job, task, error);
  ++task.failures;
  TaskRepository(sql_).close_attempt(task, now_us_, absl::StrCat("failed: ", error));
  if (permanent || task.failures >= leases_.max_attempts) {
    ESP_TRY(move_task(job, task, v1::STAGE_STATE_FAILED, error));
    return settle(job);
  }
  auto pause = leases_.retry_first;
  for (int i = 1; i < task.failures && pause < leases_.retry_longest; ++i) pause *= 2;
  task.not_before_us = now_us_ + std::chrono::microseconds(std::min(pause, leases_.retry_longest)).count();
  return move_task(job, task, v1::STAGE_STATE_WAITING, error);
}

Status Lifecycle::handed_back(JobRecord& job, TaskRecord& task) {
  if (task.training.has_adapter()) return unevaluated(job, task, "its worker has stopped");
  TaskRepository(sql_).close_attempt(task, now_us_, "handed back");
  return move_task(job, task, v1::STAGE_STATE_WAITING);
}

Status Lifecycle::stopped(JobRecord& job, TaskRecord& task) {
  if (task.training.has_adapter()) return unevaluated(job, task, "the job was cancelled");
  TaskRepository(sql_).close_attempt(task, now_us_, "cancelled");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_CANCELLED));
  return settle(job);
}

Status Lifecycle::cancel(JobRecord& job) {
  if (is_final(job.state) || job.state == v1::JOB_STATE_CANCELLING) return absl::OkStatus();
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  bool running = false;
  for (TaskRecord& task : tasks) {
    if (task.state == v1::STAGE_STATE_RUNNING) {
      running = true;
      drop_reserved(task);
    } else if (!is_final(task.state)) {
      ESP_TRY(move_task(job, task, v1::STAGE_STATE_CANCELLED));
    }
  }
  if (!running) drop_parts(tasks);
  return move_job(job, running ? v1::JOB_STATE_CANCELLING : v1::JOB_STATE_CANCELLED);
}

Status Lifecycle::checkpoint(TaskRecord& task, int step, const std::string& artefact_id) {
  if (artefact_id.empty()) return absl::OkStatus();  // on the worker's disk only: nothing to keep here
  const auto artefact = ArtefactRepository(sql_).find(artefact_id, task.tenant_id);
  if (!artefact.ok() || artefact->kind != v1::ARTEFACT_KIND_CHECKPOINT || artefact->job_id != task.job_id) {
    return absl::InvalidArgumentError(absl::StrCat("artefact ", artefact_id, " is not a checkpoint of this job"));
  }
  if (task.checkpoint_artefact_id != artefact_id) drop_checkpoint(task);
  task.checkpoint_artefact_id = artefact_id;
  task.checkpoint_step = step;
  TaskRepository(sql_).update(task);
  return absl::OkStatus();
}

void Lifecycle::drop_checkpoint(TaskRecord& task) {
  if (!task.checkpoint_artefact_id.empty()) obsolete_.emplace_back(task.tenant_id, task.checkpoint_artefact_id);
  task.checkpoint_artefact_id.clear();
  task.checkpoint_step = 0;
}

Status Lifecycle::settle(JobRecord& job) {
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  if (job.state == v1::JOB_STATE_CANCELLING) return settle_cancelled(job, tasks);
  const auto failed = std::find_if(tasks.begin(), tasks.end(), [](const TaskRecord& task) {
    return task.is_preparation() && task.state == v1::STAGE_STATE_FAILED;
  });
  if (failed != tasks.end()) return settle_unprepared(job, tasks, failed->error);
  const bool done =
      std::all_of(tasks.begin(), tasks.end(), [](const TaskRecord& task) { return is_final(task.state); });
  return done ? settle_trained(job, tasks) : absl::OkStatus();
}

Status Lifecycle::settle_cancelled(JobRecord& job, std::vector<TaskRecord>& tasks) {
  const bool running = std::any_of(tasks.begin(), tasks.end(),
                                   [](const TaskRecord& task) { return task.state == v1::STAGE_STATE_RUNNING; });
  if (running) return absl::OkStatus();
  drop_parts(tasks);
  return move_job(job, v1::JOB_STATE_CANCELLED);
}

Status Lifecycle::settle_trained(JobRecord& job, const std::vector<TaskRecord>& tasks) {
  int succeeded = 0, wanted = 0;
  std::vector<std::string> errors;
  for (const TaskRecord& task : tasks) {
    if (task.is_preparation()) continue;
    ++wanted;
    if (task.state == v1::STAGE_STATE_SUCCEEDED)
      ++succeeded;
    else
      errors.push_back(absl::StrCat(denoiser_name(task.denoiser), ": ", task.error));
  }
  if (succeeded == 0) return move_job(job, v1::JOB_STATE_FAILED, absl::StrJoin(errors, "; "));
  if (succeeded == wanted) return move_job(job, v1::JOB_STATE_SUCCEEDED);
  return move_job(job, v1::JOB_STATE_PARTIALLY_SUCCEEDED, absl::StrJoin(errors, "; "));
}

Status Lifecycle::charge(JobRecord& job) {
  const bool some_succeeded = job.state == v1::JOB_STATE_SUCCEEDED || job.state == v1::JOB_STATE_PARTIALLY_SUCCEEDED;
  const bool pays_cancelled =
      job.state == v1::JOB_STATE_CANCELLED && job.prices.cancel_policy == billing::kCancelCompletedStages;
  if ((some_succeeded || pays_cancelled) && !job.dataset_id.empty()) {
    ESP_ASSIGN(const v1::Dataset dataset, CatalogueRepository(sql_).find_dataset(job.dataset_id, job.tenant_id));
    ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
    std::vector<v1::Denoiser> trained;
    for (const TaskRecord& task : tasks) {
      if (!task.is_preparation() && task.state == v1::STAGE_STATE_SUCCEEDED) trained.push_back(task.denoiser);
    }
    ESP_ASSIGN(job.cost, job_price(job.prices, job.spec, trained, dataset.objects(),
                                   /*reused=*/preparation_status(job, tasks).reused()));
  }
  return Ledger(sql_, now_us_).ended(job);
}

}  // namespace espalier::coordinator
