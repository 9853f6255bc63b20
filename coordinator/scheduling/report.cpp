#include "coordinator/scheduling/report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr size_t kMaxLogText = 4096;
constexpr size_t kMaxErrorText = 2000;
constexpr size_t kMaxName = 200;
constexpr int kMaxCandidates = 16;  // of an evaluation

// Cut at `limit` bytes, not inside a UTF-8 character.
std::string cut(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// A point that is not finite says nothing and has no place in the database.
bool is_finite(const v1::MetricPoint& point) {
  return std::isfinite(point.loss()) && std::isfinite(point.learning_rate()) && std::isfinite(point.grad_norm()) &&
         std::isfinite(point.seconds_per_step());
}

bool is_finite(const v1::EvaluationScores& scores) {
  return std::isfinite(scores.iou()) && std::isfinite(scores.f1()) && std::isfinite(scores.chamfer()) &&
         std::isfinite(scores.f_score()) && std::isfinite(scores.normal_consistency()) &&
         std::isfinite(scores.psnr()) && std::isfinite(scores.psnr_common());
}

// An evaluation that makes no sense is none.
v1::TrainResult with_clean_evaluation(v1::TrainResult result) {
  result.set_evaluation_error(cut(result.evaluation_error(), kMaxErrorText));
  if (!result.has_evaluation()) return result;
  const auto& candidates = result.evaluation().candidates();
  const bool usable = candidates.size() <= kMaxCandidates &&
                      std::all_of(candidates.begin(), candidates.end(),
                                  [](const v1::EvaluationScores& scores) { return is_finite(scores); });
  if (!usable) {
    result.clear_evaluation();
    result.set_evaluation_error("the worker's scores are not usable");
    return result;
  }
  for (auto& scores : *result.mutable_evaluation()->mutable_candidates()) {
    scores.set_candidate(cut(scores.candidate(), kMaxName));
  }
  return result;
}

}  // namespace

const v1::TaskLease* lease_of(const v1::WorkerMessage& message) {
  switch (message.message_case()) {
    case v1::WorkerMessage::kTaskStarted:
      return &message.task_started().lease();
    case v1::WorkerMessage::kPreparationProgress:
      return &message.preparation_progress().lease();
    case v1::WorkerMessage::kTrainingProgress:
      return &message.training_progress().lease();
    case v1::WorkerMessage::kObjectFailed:
      return &message.object_failed().lease();
    case v1::WorkerMessage::kValidation:
      return &message.validation().lease();
    case v1::WorkerMessage::kLogs:
      return &message.logs().lease();
    case v1::WorkerMessage::kCheckpointSaved:
      return &message.checkpoint_saved().lease();
    case v1::WorkerMessage::kTaskFinished:
      return &message.task_finished().lease();
    case v1::WorkerMessage::kRendezvousReady:
      return &message.rendezvous_ready().lease();
    case v1::WorkerMessage::kAdapterStored:
      return &message.adapter_stored().lease();
    case v1::WorkerMessage::kEvaluationProgress:
      return &message.evaluation_progress().lease();
    default:
      return nullptr;
  }
}

bool is_bufferable(const v1::WorkerMessage& message) {
  return message.has_preparation_progress() || message.has_training_progress() || message.has_evaluation_progress() ||
         message.has_logs();
}

Status ReportApplier::apply(const v1::WorkerMessage& message, JobRecord& job, TaskRecord& task) {
  const int member = lease_of(message)->member();
  const bool by_any = message.has_task_started() || message.has_logs() || message.has_task_finished();
  if (member != 0 && !by_any) return absl::OkStatus();  // only member 0 speaks for the gang
  switch (message.message_case()) {
    case v1::WorkerMessage::kTaskStarted:
      if (task.world_size > 1) ESP_TRY(lifecycle_.joined(task, member));
      if (member != 0) return absl::OkStatus();
      return lifecycle_.started(job, task, message.task_started().resumed_at_step());
    case v1::WorkerMessage::kRendezvousReady:
      return rendezvous(message.rendezvous_ready(), job, task);
    case v1::WorkerMessage::kPreparationProgress:
      return preparation_progress(message.preparation_progress(), job, task);
    case v1::WorkerMessage::kTrainingProgress:
      return training_progress(message.training_progress(), job, task);
    case v1::WorkerMessage::kObjectFailed:
      return object_failed(message.object_failed(), job);
    case v1::WorkerMessage::kValidation:
      return validation(message.validation(), job, task);
    case v1::WorkerMessage::kLogs:
      return logs(message.logs(), job, task);
    case v1::WorkerMessage::kCheckpointSaved: {
      const auto& saved = message.checkpoint_saved();
      const Status status = lifecycle_.checkpoint(task, saved.step(), saved.artefact_id());
      return absl::IsInvalidArgument(status) ? absl::OkStatus() : status;  // the one before stays
    }
    case v1::WorkerMessage::kAdapterStored:
      return adapter_stored(message.adapter_stored(), job, task);
    case v1::WorkerMessage::kEvaluationProgress:
      return evaluation_progress(message.evaluation_progress(), job, task);
    case v1::WorkerMessage::kTaskFinished:
      return finished(message.task_finished(), job, task);
    default:
      return absl::OkStatus();
  }
}

void ReportApplier::emit(JobRecord& job, const v1::JobEvent& event) {
  EventRepository(sql_).append(job, event, now_us_);
  JobRepository(sql_).update(job);
}

Status ReportApplier::finished(const v1::TaskFinished& report, JobRecord& job, TaskRecord& task) {
  return unless_unusable(outcome(report, job, task), job, task);
}

Status ReportApplier::adapter_stored(const v1::AdapterStored& report, JobRecord& job, TaskRecord& task) {
  if (job.state == v1::JOB_STATE_CANCELLING || task.training.has_adapter()) return absl::OkStatus();
  if (task.is_preparation()) return unless_unusable(absl::InvalidArgumentError("it is of a training"), job, task);
  return unless_unusable(lifecycle_.adapter_stored(job, task, report.result()), job, task);
}

Status ReportApplier::unless_unusable(const Status& status, JobRecord& job, TaskRecord& task) {
  if (!absl::IsInvalidArgument(status) && !absl::IsNotFound(status)) return status;
  return lifecycle_.failed(job, task, absl::StrCat("the worker's result is not usable: ", status.message()), false);
}

Status ReportApplier::rendezvous(const v1::RendezvousReady& report, JobRecord& job, TaskRecord& task) {
  const Status status = lifecycle_.rendezvous(task, report.port());
  if (!absl::IsInvalidArgument(status)) return status;
  return lifecycle_.failed(job, task, std::string(status.message()), /*permanent=*/false);
}

Status ReportApplier::outcome(const v1::TaskFinished& report, JobRecord& job, TaskRecord& task) {
  const int member = report.lease().member();
  if (job.state == v1::JOB_STATE_CANCELLING) return lifecycle_.member_stopped(job, task, member);
  switch (report.outcome_case()) {
    case v1::TaskFinished::kPreprocessed:
      if (!task.is_preparation()) return absl::InvalidArgumentError("it is of a preparation");
      return lifecycle_.prepared(job, task, report.preprocessed());
    case v1::TaskFinished::kTrained:
      if (task.is_preparation()) return absl::InvalidArgumentError("it is of a training");
      if (member != 0) return absl::InvalidArgumentError("only member 0 tells the result");
      return lifecycle_.trained(job, task, with_clean_evaluation(report.trained()));
    case v1::TaskFinished::kFailure:
      return lifecycle_.failed(job, task, cut(report.failure().message(), kMaxErrorText), report.failure().permanent());
    case v1::TaskFinished::kCancelled:
      return lifecycle_.handed_back(job, task);
    case v1::TaskFinished::kMemberDone:
      return lifecycle_.member_done(task, member);
    default:
      return absl::InvalidArgumentError("it has no outcome");
  }
}

Status ReportApplier::training_progress(const v1::TaskTrainingProgress& report, JobRecord& job, TaskRecord& task) {
  EventRepository events(sql_);
  const v1::MetricPoint* last = nullptr;
  for (const auto& point : report.points()) {
    if (!is_finite(point)) continue;
    events.put_metric(task.id, point);
    last = &point;
  }
  if (!last || task.is_preparation()) return absl::OkStatus();
  const double eta = std::isfinite(report.eta_seconds()) ? report.eta_seconds() : 0;
  v1::DenoiserStatus& status = task.training;
  status.set_step(last->step());
  if (report.total_steps() > 0) status.set_total_steps(report.total_steps());
  status.set_loss(last->loss());
  status.set_learning_rate(last->learning_rate());
  status.set_grad_norm(last->grad_norm());
  status.set_seconds_per_step(last->seconds_per_step());
  status.set_eta_seconds(eta);
  TaskRepository(sql_).update(task);
  v1::JobEvent event;
  auto* progress = event.mutable_training_progress();
  progress->set_denoiser(task.denoiser);
  progress->set_step(status.step());
  progress->set_total_steps(status.total_steps());
  progress->set_loss(status.loss());
  progress->set_learning_rate(status.learning_rate());
  progress->set_grad_norm(status.grad_norm());
  progress->set_seconds_per_step(status.seconds_per_step());
  progress->set_eta_seconds(eta);
  emit(job, event);
  return absl::OkStatus();
}

Status ReportApplier::preparation_progress(const v1::TaskPreparationProgress& report, JobRecord& job,
                                           TaskRecord& task) {
  if (!task.is_preparation()) return absl::OkStatus();
  task.preparation.set_objects_done(report.progress().done());
  task.preparation.set_objects_total(report.progress().total());
  task.preparation.set_objects_skipped(report.progress().skipped());
  TaskRepository(sql_).update(task);
  if (task.kind == TaskKind::kMerge) return absl::OkStatus();  // its objects have been counted
  v1::JobEvent event;
  auto* progress = event.mutable_preparation_progress();
  ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql_).of_job(job.id));
  const v1::PreparationStatus status = preparation_status(job, tasks);
  progress->set_done(status.objects_done());
  progress->set_total(status.objects_total());
  progress->set_skipped(status.objects_skipped());
  emit(job, event);
  return absl::OkStatus();
}

Status ReportApplier::object_failed(const v1::TaskObjectFailed& report, JobRecord& job) {
  v1::ObjectReport object = report.object();
  object.set_path(cut(object.path(), 1024));
  object.set_code(cut(object.code(), 64));
  object.set_message(cut(object.message(), kMaxErrorText));
  if (!CatalogueRepository(sql_).put_failed_object(job.id, object)) return absl::OkStatus();
  v1::JobEvent event;
  *event.mutable_object_failed() = object;
  emit(job, event);
  return absl::OkStatus();
}

Status ReportApplier::validation(const v1::TaskValidation& report, JobRecord& job, const TaskRecord& task) {
  if (!std::isfinite(report.loss())) return absl::OkStatus();
  v1::JobEvent event;
  auto* measured = event.mutable_validation();
  measured->set_denoiser(task.denoiser);
  measured->set_before_training(report.before_training());
  measured->set_step(report.step());
  measured->set_loss(report.loss());
  emit(job, event);
  return absl::OkStatus();
}

Status ReportApplier::evaluation_progress(const v1::TaskEvaluationProgress& report, JobRecord& job, TaskRecord& task) {
  if (!task.training.has_evaluating()) return absl::OkStatus();
  v1::EvaluationProgress& progress = *task.training.mutable_evaluating();
  progress = report.progress();
  progress.set_denoiser(task.denoiser);
  progress.set_candidate(cut(progress.candidate(), kMaxName));
  TaskRepository(sql_).update(task);
  v1::JobEvent event;
  *event.mutable_evaluation_progress() = progress;
  emit(job, event);
  return absl::OkStatus();
}

Status ReportApplier::logs(const v1::TaskLogs& report, JobRecord& job, const TaskRecord& task) {
  EventRepository events(sql_);
  for (const auto& entry : report.lines()) {
    v1::LogLine line;
    *line.mutable_time() = entry.time();
    line.set_severity(entry.severity());
    line.set_denoiser(task.denoiser);
    line.set_attempt(task.attempt);
    line.set_text(cut(entry.text(), kMaxLogText));
    events.append_log(job, line);
  }
  JobRepository(sql_).update(job);
  return absl::OkStatus();
}

}  // namespace espalier::coordinator
