#include "coordinator/jobs/lifecycle.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/clock.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/proto_json.h"
#include "coordinator/storage/artefact_repository.h"

namespace espalier::coordinator {
namespace {

TaskRecord new_task(const JobRecord& job, v1::Denoiser denoiser, int position, v1::StageState state) {
  TaskRecord task;
  task.id = new_id("task");
  task.job_id = job.id;
  task.tenant_id = job.tenant_id;
  task.denoiser = denoiser;
  task.position = position;
  task.state = state;
  task.training.set_total_steps(denoiser == v1::DENOISER_UNSPECIFIED ? 0 : job.spec.steps());
  return task;
}

bool contains(const v1::Dataset& dataset, v1::Denoiser denoiser) {
  return std::find(dataset.denoisers().begin(), dataset.denoisers().end(), denoiser) != dataset.denoisers().end();
}

}  // namespace

Status Lifecycle::create(JobRecord& job, const v1::Dataset& reused) {
  const bool prepares = reused.dataset_id().empty();
  job.dataset_id = reused.dataset_id();
  job.create_us = now_us_;
  JobRepository jobs(sql_);
  TaskRepository tasks(sql_);
  jobs.insert(job);
  if (prepares) tasks.insert(new_task(job, v1::DENOISER_UNSPECIFIED, 0, v1::STAGE_STATE_WAITING));
  int position = 0;
  for (const int denoiser : job.spec.denoisers()) {
    const auto state = prepares ? v1::STAGE_STATE_PENDING : v1::STAGE_STATE_WAITING;
    tasks.insert(new_task(job, static_cast<v1::Denoiser>(denoiser), ++position, state));
  }
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(v1::JOB_STATE_QUEUED);
  EventRepository(sql_).append(job, event, now_us_);
  jobs.update(job);
  return absl::OkStatus();
}

Status Lifecycle::move_job(JobRecord& job, v1::JobState state, const std::string& error) {
  if (!can_move(job.state, state)) {
    return absl::InternalError(absl::StrCat("job ", job.id, " cannot go from ", v1::JobState_Name(job.state), " to ",
                                            v1::JobState_Name(state)));
  }
  job.state = state;
  job.error = error;
  if (is_final(state)) job.end_us = now_us_;
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

Status Lifecycle::move_task(JobRecord& job, TaskRecord& task, v1::StageState state, const std::string& error,
                            int resumed_at_step) {
  if (!can_move(task.state, state)) {
    return absl::InternalError(absl::StrCat("task ", task.id, " cannot go from ", v1::StageState_Name(task.state),
                                            " to ", v1::StageState_Name(state)));
  }
  task.state = state;
  task.error = error;
  if (is_final(state)) drop_checkpoint(task);
  TaskRepository(sql_).update(task);
  emit_stage(job, task, resumed_at_step);
  return absl::OkStatus();
}

Status Lifecycle::lease(JobRecord& job, TaskRecord& task, const std::string& worker_id) {
  if (!can_move(task.state, v1::STAGE_STATE_RUNNING)) {
    return absl::InternalError(absl::StrCat("task ", task.id, " is not waiting"));
  }
  TaskRepository tasks(sql_);
  task.state = v1::STAGE_STATE_RUNNING;
  ++task.attempt;
  task.fencing_token = tasks.next_fencing_token();
  task.worker_id = worker_id;
  task.lease_until_us = now_us_ + std::chrono::microseconds(leases_.time).count();
  tasks.update(task);
  tasks.open_attempt(task, now_us_);
  if (job.state != v1::JOB_STATE_QUEUED) return absl::OkStatus();
  job.start_us = now_us_;
  return move_job(job, task.is_preparation() ? v1::JOB_STATE_PREPARING : v1::JOB_STATE_TRAINING);
}

Status Lifecycle::started(JobRecord& job, TaskRecord& task, int resumed_at_step) {
  task.error.clear();
  if (!task.is_preparation()) task.training.set_step(resumed_at_step);
  TaskRepository(sql_).update(task);
  emit_stage(job, task, resumed_at_step);
  return absl::OkStatus();
}

Status Lifecycle::check_output(const JobRecord& job, const std::string& artefact_id, v1::ArtefactKind kind,
                               ArtefactRecord* found) {
  ESP_ASSIGN(*found, ArtefactRepository(sql_).find(artefact_id, job.tenant_id));
  if (found->kind == kind && found->job_id == job.id) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("artefact ", artefact_id, " is not a ", v1::ArtefactKind_Name(kind), " that this job has stored"));
}

Status Lifecycle::prepared(JobRecord& job, TaskRecord& task, const v1::PreprocessResult& result) {
  if (job.state == v1::JOB_STATE_CANCELLING) return stopped(job, task);
  ArtefactRecord artefact;
  ESP_TRY(check_output(job, result.artefact_id(), v1::ARTEFACT_KIND_PREPARED_DATASET, &artefact));
  if (result.objects() < 1) return absl::InvalidArgumentError("the preparation has no usable object");
  if (result.resolution() != job.spec.resolution()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the dataset has resolution ", result.resolution(), ", the job wants ", job.spec.resolution()));
  }
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

Status Lifecycle::trained(JobRecord& job, TaskRecord& task, const v1::TrainResult& result) {
  if (job.state == v1::JOB_STATE_CANCELLING) return stopped(job, task);
  ArtefactRecord artefact;
  ESP_TRY(check_output(job, result.artefact_id(), v1::ARTEFACT_KIND_ADAPTER, &artefact));
  v1::Adapter adapter;
  adapter.set_adapter_id(new_id("adp"));
  adapter.set_artefact_id(artefact.id);
  adapter.set_denoiser(task.denoiser);
  adapter.set_resolution(job.spec.resolution());
  adapter.set_rank(job.spec.rank());
  adapter.set_steps(job.spec.steps());
  adapter.set_learning_rate(job.spec.learning_rate());
  adapter.set_base(base_name_);
  adapter.set_job_id(job.id);
  adapter.set_dataset_id(job.dataset_id);
  adapter.set_sha256(artefact.sha256);
  adapter.set_size_bytes(artefact.size_bytes);
  *adapter.mutable_create_time() = to_timestamp(now_us_);
  if (result.has_validation_loss_before()) adapter.set_validation_loss_before(result.validation_loss_before());
  if (result.has_validation_loss_after()) adapter.set_validation_loss_after(result.validation_loss_after());
  CatalogueRepository(sql_).insert_adapter(job.tenant_id, adapter);

  task.training.set_step(job.spec.steps());
  task.training.set_eta_seconds(0);
  *task.training.mutable_adapter() = adapter;
  TaskRepository(sql_).close_attempt(task, now_us_, "succeeded");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_SUCCEEDED));
  v1::JobEvent event;
  *event.mutable_adapter_ready()->mutable_adapter() = adapter;
  EventRepository(sql_).append(job, event, now_us_);
  JobRepository(sql_).update(job);
  return settle(job);
}

Status Lifecycle::failed(JobRecord& job, TaskRecord& task, const std::string& error, bool permanent) {
  if (job.state == v1::JOB_STATE_CANCELLING) return stopped(job, task);
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
  if (job.state == v1::JOB_STATE_CANCELLING) return stopped(job, task);
  TaskRepository(sql_).close_attempt(task, now_us_, "handed back");
  return move_task(job, task, v1::STAGE_STATE_WAITING);
}

Status Lifecycle::stopped(JobRecord& job, TaskRecord& task) {
  TaskRepository(sql_).close_attempt(task, now_us_, "cancelled");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_CANCELLED));
  return settle(job);
}

Status Lifecycle::cancel(JobRecord& job) {
  if (is_final(job.state) || job.state == v1::JOB_STATE_CANCELLING) return absl::OkStatus();
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  bool running = false;
  for (TaskRecord& task : tasks) {
    running |= task.state == v1::STAGE_STATE_RUNNING;
    if (task.state != v1::STAGE_STATE_PENDING && task.state != v1::STAGE_STATE_WAITING) continue;
    ESP_TRY(move_task(job, task, v1::STAGE_STATE_CANCELLED));
  }
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
  if (tasks[0].is_preparation() && tasks[0].state == v1::STAGE_STATE_FAILED) {
    for (TaskRecord& task : tasks) {
      if (!task.is_preparation()) ESP_TRY(move_task(job, task, v1::STAGE_STATE_SKIPPED));
    }
    return move_job(job, v1::JOB_STATE_FAILED, absl::StrCat("preparation: ", tasks[0].error));
  }
  const bool done =
      std::all_of(tasks.begin(), tasks.end(), [](const TaskRecord& task) { return is_final(task.state); });
  return done ? settle_trained(job, tasks) : absl::OkStatus();
}

Status Lifecycle::settle_cancelled(JobRecord& job, std::vector<TaskRecord>& tasks) {
  const bool running = std::any_of(tasks.begin(), tasks.end(),
                                   [](const TaskRecord& task) { return task.state == v1::STAGE_STATE_RUNNING; });
  return running ? absl::OkStatus() : move_job(job, v1::JOB_STATE_CANCELLED);
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
  ESP_TRY(set_cost(job, tasks));
  if (succeeded == wanted) return move_job(job, v1::JOB_STATE_SUCCEEDED);
  return move_job(job, v1::JOB_STATE_PARTIALLY_SUCCEEDED, absl::StrJoin(errors, "; "));
}

Status Lifecycle::set_cost(JobRecord& job, const std::vector<TaskRecord>& tasks) {
  ESP_ASSIGN(const v1::Dataset dataset, CatalogueRepository(sql_).find_dataset(job.dataset_id, job.tenant_id));
  billing::Order order{.objects = dataset.objects(), .reused = job.spec.has_dataset_id(), .denoisers = {}};
  order.rank = job.spec.rank();
  order.resolution = job.spec.resolution();
  order.steps = job.spec.steps();
  for (const TaskRecord& task : tasks) {
    if (task.is_preparation())
      order.reused = task.preparation.reused();
    else if (task.state == v1::STAGE_STATE_SUCCEEDED)
      order.denoisers.push_back(*from_proto(task.denoiser));
  }
  ESP_ASSIGN(const billing::Invoice invoice, billing::price(job.prices, order));
  job.cost = to_proto(invoice);
  return absl::OkStatus();
}

v1::Cost to_proto(const billing::Invoice& invoice) {
  v1::Cost cost;
  cost.set_total_nanos(invoice.total_nanos);
  cost.set_price_version(invoice.price_version);
  for (const billing::Line& line : invoice.lines) {
    v1::CostLine* out = cost.add_lines();
    const bool training = line.kind == billing::Line::Kind::kTraining;
    out->set_kind(training ? v1::COST_KIND_TRAINING : v1::COST_KIND_PREPARATION);
    if (training) out->set_denoiser(to_proto(line.denoiser));
    out->set_quantity(line.quantity);
    out->set_unit_nanos(line.unit_nanos);
    out->set_multiplier_numerator(line.multiplier_numerator);
    out->set_multiplier_denominator(line.multiplier_denominator);
    out->set_amount_nanos(line.amount_nanos);
  }
  return cost;
}

}  // namespace espalier::coordinator
