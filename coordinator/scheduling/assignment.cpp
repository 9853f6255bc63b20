#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/storage/artefact_repository.h"

// Which waiting task goes to which worker.
namespace espalier::coordinator {
namespace {

constexpr int kReadyTasksLooked = 256;

}  // namespace

void Scheduler::give_out() {
  if (workers_.empty()) return;
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) { return assign(sql, effects); });
  if (status.ok())
    finish(effects);
  else
    log_error("tasks not given out", {{"error", status.ToString()}});
}

Status Scheduler::assign(soci::session& sql, Effects& effects) {
  TaskRepository tasks(sql);
  std::map<std::string, int> busy;  // tasks leased, by worker id
  for (const auto& [ticket, worker] : workers_) {
    ESP_ASSIGN(const std::vector<TaskRecord> running, tasks.running_on(worker.id));
    busy[worker.id] = static_cast<int>(running.size());
  }
  ESP_ASSIGN(std::vector<TaskRecord> ready, tasks.ready(parts_.clock.now_us(), kReadyTasksLooked));
  for (TaskRecord& task : ready) {
    Worker* worker = pick_worker(task, busy);
    if (!worker) continue;
    ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task.job_id, ""));
    Lifecycle life = lifecycle(sql);
    ESP_TRY(life.lease(job, task, worker->id));
    effects.changed_jobs.insert(job.id);
    auto work = assignment(sql, job, task);
    if (!work.ok()) {  // an input has been removed: this job fails, others go on
      ESP_TRY(life.failed(job, task, std::string(work.status().message()), /*permanent=*/true));
      continue;
    }
    v1::CoordinatorMessage message;
    *message.mutable_assign_task() = *std::move(work);
    effects.sends.emplace_back(worker->id, std::move(message));
    ++busy[worker->id];
    log_info("task given out", {{"job", job.id}, {"task", task.id}, {"attempt", task.attempt}, {"worker", worker->id}});
  }
  return absl::OkStatus();
}

// The worker that had the task before when it is free, because it has the checkpoints on its own disk; else the one
// with the most free slots.
Scheduler::Worker* Scheduler::pick_worker(const TaskRecord& task, std::map<std::string, int>& busy) {
  Worker* best = nullptr;
  int best_free = 0;
  for (auto& [ticket, worker] : workers_) {
    const int free = worker.draining ? 0 : worker.slots - busy[worker.id];
    if (free <= 0 || (!task.is_preparation() && worker.denoisers.count(task.denoiser) == 0)) continue;
    if (worker.id == task.worker_id) return &worker;
    if (free <= best_free) continue;
    best = &worker;
    best_free = free;
  }
  return best;
}

Result<v1::AssignTask> Scheduler::assignment(soci::session& sql, const JobRecord& job, const TaskRecord& task) const {
  v1::AssignTask out;
  *out.mutable_lease() = coordinator::lease_of(task);
  out.set_job_id(job.id);
  out.set_tenant_id(job.tenant_id);
  ArtefactRepository artefacts(sql);
  if (task.is_preparation()) {
    ESP_ASSIGN(const ArtefactRecord source, artefacts.find(job.spec.artefact_id(), job.tenant_id));
    auto* work = out.mutable_preprocess();
    *work->mutable_source() = to_proto(source);
    work->set_resolution(job.spec.resolution());
    *work->mutable_denoisers() = job.spec.denoisers();
    work->set_seed(job.spec.seed());
    return out;
  }
  ESP_ASSIGN(const v1::Dataset dataset, CatalogueRepository(sql).find_dataset(job.dataset_id, job.tenant_id));
  ESP_ASSIGN(const ArtefactRecord zip, artefacts.find(dataset.artefact_id(), job.tenant_id));
  auto* work = out.mutable_train();
  *work->mutable_dataset() = to_proto(zip);
  work->set_denoiser(task.denoiser);
  work->set_resolution(job.spec.resolution());
  work->set_rank(job.spec.rank());
  work->set_learning_rate(job.spec.learning_rate());
  work->set_steps(job.spec.steps());
  work->set_seed(job.spec.seed());
  work->set_batch_size(job.spec.batch_size());
  *work->mutable_holdout_views() = job.spec.holdout_views();
  work->set_checkpoint_interval_steps(job.spec.checkpoint_interval_steps());
  if (task.checkpoint_artefact_id.empty()) return out;
  ESP_ASSIGN(const ArtefactRecord checkpoint, artefacts.find(task.checkpoint_artefact_id, job.tenant_id));
  *work->mutable_checkpoint() = to_proto(checkpoint);
  work->set_checkpoint_step(task.checkpoint_step);
  return out;
}

}  // namespace espalier::coordinator
