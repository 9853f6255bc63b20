#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/storage/artefact_repository.h"

// Which waiting task goes to which workers, and what they are told.
namespace espalier::coordinator {
namespace {

constexpr size_t kStartsAtOnce = 64;  // in one transaction
constexpr long long kPauseAfterFaultUs = 1'000'000;

}  // namespace

std::vector<Seat> Scheduler::seats() const {
  std::vector<Seat> all;
  for (const auto& [id, ticket] : tickets_) {  // by id, so that equal workers are taken in a fixed order
    const Worker& worker = workers_.at(ticket);
    if (worker.draining) continue;
    const int held = static_cast<int>(roster_.held_by(worker.id).size());
    all.push_back({worker.id, worker.host, worker.denoisers, worker.slots - held, worker.slots});
  }
  return all;
}

void Scheduler::give_out() {
  do {
    woken_ = false;
    while (parts_.clock.now_us() >= give_out_after_us_) {
      if (!read_again()) break;
      const std::vector<Start> starts = choose();
      if (starts.empty()) break;
      Effects effects;
      const Status status = parts_.database.transaction([&](soci::session& sql) -> Status {
        for (const Start& start : starts) ESP_TRY(begin(sql, start, effects));
        return absl::OkStatus();
      });
      {
        const std::lock_guard lock(queue_mutex_);  // finish() counts what has really started
        for (const Start& start : starts) {
          queue_.ended(start.tenant_id, static_cast<int>(start.workers.size()), parts_.clock.now_us());
        }
      }
      if (status.ok()) {
        finish(effects);
        continue;
      }
      log_error("tasks not given out", {{"err", status.ToString()}});
      picture_is_stale_ = true;  // what was chosen has left the queue
      give_out_after_us_ = parts_.clock.now_us() + kPauseAfterFaultUs;
    }
  } while (woken_);
}

// Whether the picture of waiting and running work is that of the database.
bool Scheduler::read_again() {
  if (!picture_is_stale_) return true;
  const Status loaded = load();
  picture_is_stale_ = !loaded.ok();
  if (loaded.ok()) return true;
  log_error("queue not read", {{"err", loaded.ToString()}});
  give_out_after_us_ = parts_.clock.now_us() + kPauseAfterFaultUs;
  return false;
}

// Takes what fits out of the queue, as if it ran already.
std::vector<Scheduler::Start> Scheduler::choose() {
  std::vector<Seat> seats = this->seats();
  const std::lock_guard lock(queue_mutex_);
  capacity_ = {};
  for (const Seat& seat : seats) capacity_.add(seat);
  attached_ = workers_.size();
  draining_ = workers_.size() - seats.size();
  std::vector<Start> starts;
  const long long now_us = parts_.clock.now_us();
  while (starts.size() < kStartsAtOnce) {
    const auto choice = queue_.next(capacity_, now_us);
    if (!choice) break;
    const WaitingTask& task = choice->task;
    const std::vector<size_t> places = place(seats, task.denoiser, choice->ranks, task.worker_id, choice->held);
    if (places.empty()) break;
    Start start{task, queue_.tenant_of(task.job_id), {}, 1};
    for (const size_t place : places) {
      start.workers.push_back(seats[place].worker_id);
      --seats[place].free;
      capacity_.change_free(seats[place].denoisers, -1);
    }
    queue_.remove(task.id);
    queue_.begin_job(task.job_id);
    queue_.started(start.tenant_id, choice->ranks, now_us);
    starts.push_back(std::move(start));
  }
  int spare = capacity_.free(v1::DENOISER_UNSPECIFIED);
  for (Start& start : starts) {
    const int useful = (start.task.objects + scheduling_.objects_per_shard - 1) / scheduling_.objects_per_shard;
    start.shards = std::clamp(std::min(useful, scheduling_.max_shards), 1, 1 + spare);
    spare -= start.shards - 1;
  }
  log_blocked();
  return starts;
}

void Scheduler::log_blocked() {
  for (const WorkQueue::Blocked& blocked : queue_.take_blocked()) {
    log_info(blocked.reserved ? "slots are held for a gang" : "a gang waits for slots",
             {{"job", blocked.task.job_id},
              {"task", blocked.task.id},
              {"denoiser", denoiser_name(blocked.task.denoiser)},
              {"ranks", blocked.task.ranks},
              {"free", capacity_.free(blocked.task.denoiser)},
              {"slots", capacity_.total(blocked.task.denoiser)}});
  }
}

Status Scheduler::begin(soci::session& sql, const Start& start, Effects& effects) {
  ESP_ASSIGN(TaskRecord task, TaskRepository(sql).find(start.task.id));
  ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task.job_id, ""));
  Lifecycle life = lifecycle(sql);
  if (task.state != v1::STAGE_STATE_WAITING) {  // cancelled between its submission and its entry into the queue
    effects.changes.emplace_back(WorkChange{life.change(job).job, {task}}, Origin{});
    return absl::OkStatus();
  }
  if (start.shards > 1) ESP_TRY(life.share_out(job, task, start.shards));
  ESP_TRY(life.lease(job, task, start.workers));
  auto work = assignment(sql, job, task, /*member=*/0);
  if (!work.ok()) {  // an input has been removed: this job fails, others go on
    ESP_TRY(life.failed(job, task, std::string(work.status().message()), /*permanent=*/true));
  } else {
    v1::CoordinatorMessage message;
    *message.mutable_assign_task() = *std::move(work);
    effects.sends.emplace_back(start.workers[0], std::move(message));
    log_info("task given out", {{"job", job.id},
                                {"task", task.id},
                                {"attempt", task.attempt},
                                {"worker", start.workers[0]},
                                {"ranks", start.workers.size()}});
  }
  effects.take(job, life);
  return absl::OkStatus();
}

// Member 0 listens: the others are told where.
Status Scheduler::call_members(soci::session& sql, const JobRecord& job, const TaskRecord& task,
                               Effects& effects) const {
  if (task.state != v1::STAGE_STATE_RUNNING) return absl::OkStatus();
  for (const MemberRecord& member : task.members) {
    if (member.member == 0 || member.state == MemberState::kJoined) continue;
    v1::CoordinatorMessage message;
    ESP_ASSIGN(*message.mutable_assign_task(), assignment(sql, job, task, member.member));
    effects.sends.emplace_back(member.worker_id, std::move(message));
  }
  return absl::OkStatus();
}

namespace {

Status describe_preparation(soci::session& sql, const JobRecord& job, const TaskRecord& task, v1::PreprocessTask& out) {
  ESP_ASSIGN(const ArtefactRecord source, ArtefactRepository(sql).find(job.spec.artefact_id(), job.tenant_id));
  *out.mutable_source() = to_proto(source);
  out.set_resolution(job.spec.resolution());
  *out.mutable_denoisers() = job.spec.denoisers();
  out.set_seed(job.spec.seed());
  out.set_shard(task.shard);
  out.set_shards(task.shards);
  return absl::OkStatus();
}

Status describe_merge(soci::session& sql, const JobRecord& job, v1::MergeTask& out) {
  ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql).of_job(job.id));
  for (const TaskRecord& task : tasks) {
    if (!task.is_shard()) continue;
    ESP_ASSIGN(const ArtefactRecord part, ArtefactRepository(sql).find(task.output_artefact_id, job.tenant_id));
    *out.add_parts() = to_proto(part);
  }
  return absl::OkStatus();
}

Status describe_training(soci::session& sql, const JobRecord& job, const TaskRecord& task, v1::TrainTask& out) {
  ArtefactRepository artefacts(sql);
  ESP_ASSIGN(const v1::Dataset dataset, CatalogueRepository(sql).find_dataset(job.dataset_id, job.tenant_id));
  ESP_ASSIGN(const ArtefactRecord zip, artefacts.find(dataset.artefact_id(), job.tenant_id));
  *out.mutable_dataset() = to_proto(zip);
  out.set_denoiser(task.denoiser);
  out.set_resolution(job.spec.resolution());
  out.set_rank(job.spec.rank());
  out.set_learning_rate(job.spec.learning_rate());
  out.set_steps(job.spec.steps());
  out.set_seed(job.spec.seed());
  out.set_batch_size(job.spec.batch_size());
  *out.mutable_holdout_views() = job.spec.holdout_views();
  if (job.spec.evaluate()) out.set_evaluation_view(job.spec.holdout_views(0));
  out.set_checkpoint_interval_steps(job.spec.checkpoint_interval_steps());
  if (task.checkpoint_artefact_id.empty()) return absl::OkStatus();
  ESP_ASSIGN(const ArtefactRecord checkpoint, artefacts.find(task.checkpoint_artefact_id, job.tenant_id));
  *out.mutable_checkpoint() = to_proto(checkpoint);
  out.set_checkpoint_step(task.checkpoint_step);
  return absl::OkStatus();
}

}  // namespace

Result<v1::AssignTask> Scheduler::assignment(soci::session& sql, const JobRecord& job, const TaskRecord& task,
                                             int member) const {
  v1::AssignTask out;
  *out.mutable_lease() = coordinator::lease_of(task, member);
  out.set_job_id(job.id);
  out.set_tenant_id(job.tenant_id);
  if (task.kind == TaskKind::kPreparation) {
    ESP_TRY(describe_preparation(sql, job, task, *out.mutable_preprocess()));
  } else if (task.kind == TaskKind::kMerge) {
    ESP_TRY(describe_merge(sql, job, *out.mutable_merge()));
  } else {
    ESP_TRY(describe_training(sql, job, task, *out.mutable_train()));
    if (task.world_size < 2) return out;
    auto* gang = out.mutable_train()->mutable_gang();
    gang->set_world_size(task.world_size);
    if (member == 0) return out;
    const Worker* master = attached(task.worker_id);
    gang->set_master_host(master && !master->address.empty() ? master->address : "127.0.0.1");
    gang->set_master_port(task.master_port);
  }
  return out;
}

}  // namespace espalier::coordinator
