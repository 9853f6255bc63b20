#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/billing/ledger.h"
#include "coordinator/clock.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/proto_json.h"
#include "rpc/status.h"

// From a source to a prepared dataset: by one task, or by shards and their merge.
namespace espalier::coordinator {
namespace {

bool contains(const v1::Dataset& dataset, v1::Denoiser denoiser) {
  return std::find(dataset.denoisers().begin(), dataset.denoisers().end(), denoiser) != dataset.denoisers().end();
}

}  // namespace

Status Lifecycle::share_out(JobRecord& job, TaskRecord& task, int shards) {
  if (task.kind != TaskKind::kPreparation || task.is_shard() || task.attempt > 0 || shards < 2) {
    return absl::InternalError(absl::StrCat("task ", task.id, " cannot be shared out to ", shards));
  }
  task.shards = shards;
  TaskRepository(sql_).update(task);
  touch(task);
  for (int shard = 1; shard < shards; ++shard) {
    TaskRecord other = new_task(job, TaskKind::kPreparation, v1::STAGE_STATE_WAITING);
    other.shard = shard;
    other.shards = shards;
    add_task(other);
  }
  add_task(new_task(job, TaskKind::kMerge, v1::STAGE_STATE_PENDING));
  return absl::OkStatus();
}

Status Lifecycle::shard_prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result) {
  ArtefactRecord artefact;
  ESP_TRY(check_output(job, result.artefact_id(), v1::ARTEFACT_KIND_DATASET_PART, &artefact));
  task.output_artefact_id = artefact.id;
  TaskRepository(sql_).close_attempt(task, now_us_, "succeeded");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_SUCCEEDED));
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  const bool all = std::all_of(tasks.begin(), tasks.end(), [](const TaskRecord& other) {
    return !other.is_shard() || other.state == v1::STAGE_STATE_SUCCEEDED;
  });
  const auto merge =
      std::find_if(tasks.begin(), tasks.end(), [](const TaskRecord& t) { return t.kind == TaskKind::kMerge; });
  if (!all || merge == tasks.end()) return absl::OkStatus();
  return move_task(job, *merge, v1::STAGE_STATE_WAITING);
}

Status Lifecycle::prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result) {
  if (task.is_shard()) return shard_prepared(job, task, result);
  ArtefactRecord artefact;
  ESP_TRY(check_output(job, result.artefact_id(), v1::ARTEFACT_KIND_PREPARED_DATASET, &artefact));
  if (result.objects() < 1) return absl::InvalidArgumentError("the preparation has no usable object");
  if (result.resolution() != job.spec.resolution()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the dataset has resolution ", result.resolution(), ", the job wants ", job.spec.resolution()));
  }
  const Status credit = Ledger(sql_, now_us_).prepared(job, result.objects(), result.reused());
  if (absl::IsResourceExhausted(credit)) {
    obsolete_.emplace_back(artefact.tenant_id, artefact.id);  // unpaid: nothing may be trained from it later either
    return failed(job, task, absl::StrCat(reason_of(credit), ": ", credit.message()), /*permanent=*/true);
  }
  ESP_TRY(credit);
  CatalogueRepository catalogue(sql_);
  v1::Dataset dataset;
  dataset.set_dataset_id(new_id("dat"));
  dataset.set_artefact_id(artefact.id);
  dataset.set_content_id(result.content_id());
  dataset.set_resolution(result.resolution());
  *dataset.mutable_denoisers() = result.denoisers();
  dataset.set_objects(result.objects());
  for (const auto& object : catalogue.failed_objects(job.id)) *dataset.add_failed_objects() = object;
  dataset.set_job_id(job.id);
  *dataset.mutable_create_time() = to_timestamp(now_us_);
  dataset.set_base(base_name_);
  catalogue.insert_dataset(job.tenant_id, dataset);

  job.dataset_id = dataset.dataset_id();
  job.warnings.insert(job.warnings.end(), result.warnings().begin(), result.warnings().end());
  task.preparation.set_reused(result.reused());
  TaskRepository(sql_).close_attempt(task, now_us_, "succeeded");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_SUCCEEDED));
  v1::JobEvent event;
  *event.mutable_dataset_ready()->mutable_dataset() = dataset;
  EventRepository(sql_).append(job, event, now_us_);
  ESP_TRY(move_job(job, v1::JOB_STATE_TRAINING));
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  drop_parts(tasks);
  return release_trainings(job, dataset);
}

Status Lifecycle::release_trainings(JobRecord& job, const v1::Dataset& dataset) {
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  for (TaskRecord& task : tasks) {
    if (task.is_preparation()) continue;
    if (contains(dataset, task.denoiser)) {
      ESP_TRY(move_task(job, task, v1::STAGE_STATE_WAITING));
    } else {
      ESP_TRY(move_task(job, task, v1::STAGE_STATE_FAILED,
                        absl::StrCat("the dataset has nothing to train ", denoiser_name(task.denoiser), " from")));
    }
  }
  return settle(job);
}

// The preparation has failed: the job ends, and with it the shards that are still at work.
Status Lifecycle::settle_unprepared(JobRecord& job, std::vector<TaskRecord>& tasks, const std::string& error) {
  for (TaskRecord& task : tasks) {
    if (is_final(task.state)) continue;
    if (task.state == v1::STAGE_STATE_RUNNING) {
      TaskRepository(sql_).close_attempt(task, now_us_, "cancelled: another shard failed");
    }
    ESP_TRY(move_task(job, task, task.is_preparation() ? v1::STAGE_STATE_CANCELLED : v1::STAGE_STATE_SKIPPED));
  }
  drop_parts(tasks);
  return move_job(job, v1::JOB_STATE_FAILED, absl::StrCat("preparation: ", error));
}

void Lifecycle::drop_parts(std::vector<TaskRecord>& tasks) {
  for (TaskRecord& task : tasks) {
    if (task.output_artefact_id.empty()) continue;
    obsolete_.emplace_back(task.tenant_id, task.output_artefact_id);
    task.output_artefact_id.clear();
    TaskRepository(sql_).update(task);
  }
}

// Watchers see one preparation, not its shards: its beginning, every failure, and its end.
Status Lifecycle::tell_shared_stage(JobRecord& job, const TaskRecord& task) {
  const bool begins = task.is_shard() && task.shard == 0 && task.state == v1::STAGE_STATE_RUNNING;
  const bool ends = task.kind == TaskKind::kMerge && is_final(task.state);
  if (!begins && !ends && task.error.empty()) return absl::OkStatus();
  ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  const v1::PreparationStatus status = preparation_status(job, tasks);
  TaskRecord whole = task;
  whole.state = status.state();
  whole.attempt = status.attempt();
  emit_stage(job, whole, /*resumed_at_step=*/0);
  return absl::OkStatus();
}

}  // namespace espalier::coordinator
