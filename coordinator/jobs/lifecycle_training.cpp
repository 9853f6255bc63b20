#include "absl/strings/str_cat.h"
#include "coordinator/clock.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/proto_json.h"

// What becomes of a training that has made its adapter.
namespace espalier::coordinator {

Status Lifecycle::put_adapter(JobRecord& job, TaskRecord& task, const v1::TrainResult& result) {
  ArtefactRecord artefact;
  ESP_TRY(check_output(job, result.artefact_id(), v1::ARTEFACT_KIND_ADAPTER, &artefact));
  v1::Adapter& adapter = *task.training.mutable_adapter();
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
  v1::JobEvent event;
  *event.mutable_adapter_ready()->mutable_adapter() = adapter;
  EventRepository(sql_).append(job, event, now_us_);
  return absl::OkStatus();
}

Status Lifecycle::adapter_stored(JobRecord& job, TaskRecord& task, const v1::TrainResult& result) {
  if (!job.spec.evaluate()) return absl::InvalidArgumentError("no evaluation was asked for");
  ESP_TRY(put_adapter(job, task, result));
  task.training.mutable_evaluating()->set_denoiser(task.denoiser);
  TaskRepository(sql_).update(task);
  JobRepository(sql_).update(job);
  return absl::OkStatus();
}

Status Lifecycle::trained(JobRecord& job, TaskRecord& task, const v1::TrainResult& result) {
  if (!task.training.has_adapter()) ESP_TRY(put_adapter(job, task, result));
  tell_evaluation(job, task, result);
  TaskRepository(sql_).close_attempt(task, now_us_, "succeeded");
  ESP_TRY(move_task(job, task, v1::STAGE_STATE_SUCCEEDED));
  return settle(job);
}

void Lifecycle::tell_evaluation(JobRecord& job, TaskRecord& task, const v1::TrainResult& result) {
  task.training.clear_evaluating();
  if (!result.has_evaluation()) {
    if (!job.spec.evaluate()) return;
    job.warnings.push_back(
        absl::StrCat(denoiser_name(task.denoiser), ": the adapter was not evaluated: ", result.evaluation_error()));
    return;
  }
  *task.training.mutable_evaluation() = result.evaluation();
  v1::JobEvent event;
  event.mutable_evaluation_ready()->set_denoiser(task.denoiser);
  *event.mutable_evaluation_ready()->mutable_evaluation() = result.evaluation();
  EventRepository(sql_).append(job, event, now_us_);
}

Status Lifecycle::unevaluated(JobRecord& job, TaskRecord& task, const std::string& why) {
  v1::TrainResult result;
  result.set_evaluation_error(why);
  return trained(job, task, result);
}

}  // namespace espalier::coordinator
