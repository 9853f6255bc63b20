#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/scheduling/messages.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/tenants/tenant_repository.h"
#include "rpc/status.h"

// The scheduler's picture in memory of what waits and runs, and how it follows the database.
namespace espalier::coordinator {
namespace {

constexpr long long kReadSharesEveryUs = 5'000'000;
constexpr int kRememberedHalfLives = 16;  // older usage counts less than a 65,000th

QueuedJob queued(const UnfinishedJob& job) {
  return {job.id, job.tenant_id, job.priority, job.create_us, job.number, job.state != v1::JOB_STATE_QUEUED};
}

WaitingTask waiting(const TaskRecord& task, int expected_objects, long long now_us) {
  WaitingTask out;
  out.id = task.id;
  out.job_id = task.job_id;
  out.denoiser = task.denoiser;
  out.position = task.is_shard() ? task.shard : task.position;
  out.ranks = task.ranks;
  out.interrupted = task.attempt > 0;
  out.not_before_us = out.interrupted ? std::max(task.not_before_us, now_us) : 0;
  out.worker_id = task.worker_id;
  const bool whole = task.kind == TaskKind::kPreparation && !task.is_shard() && task.attempt == 0;
  out.objects = whole ? expected_objects : 0;
  return out;
}

}  // namespace

Status Scheduler::recover() {
  const std::lock_guard lock(mutex_);
  ESP_TRY(load());
  refresh_shares(/*now=*/true);
  const long long now_us = parts_.clock.now_us();
  const long long from_us = now_us - kRememberedHalfLives * std::chrono::microseconds(scheduling_.half_life).count();
  std::vector<TaskRepository::Ran> history;
  ESP_TRY(parts_.database.read([&](soci::session& sql) -> Status {
    history = TaskRepository(sql).ran_since(from_us);
    return absl::OkStatus();
  }));
  const std::lock_guard queue_lock(queue_mutex_);
  for (const auto& ran : history) {
    queue_.add_usage(ran.tenant_id, ran.ranks, std::max(ran.start_us, from_us), ran.end_us == 0 ? now_us : ran.end_us);
  }
  return absl::OkStatus();
}

// Makes the picture anew. Every running task gets a whole lease.
Status Scheduler::load() {
  std::vector<UnfinishedJob> jobs;
  std::vector<TaskRecord> tasks;
  ESP_TRY(parts_.database.read([&](soci::session& sql) -> Status {
    jobs = JobRepository(sql).unfinished();
    ESP_ASSIGN(tasks, TaskRepository(sql).unfinished());
    return absl::OkStatus();
  }));
  std::map<std::string, WorkChange> changes;
  for (UnfinishedJob& job : jobs) changes[job.id].job = std::move(job);
  for (TaskRecord& task : tasks) {
    const auto job = changes.find(task.job_id);
    if (job != changes.end()) job->second.tasks.push_back(std::move(task));
  }
  Effects effects;
  for (const std::string& task_id : roster_.tasks()) {
    const std::lock_guard lock(queue_mutex_);
    const auto gone = roster_.remove(task_id);
    queue_.ended(gone->tenant_id, static_cast<int>(gone->members.size()), parts_.clock.now_us());
  }
  {
    const std::lock_guard lock(queue_mutex_);
    queue_.clear();
  }
  for (const auto& [id, change] : changes) mirror(change, Origin{}, effects);
  return absl::OkStatus();
}

void Scheduler::mirror(const WorkChange& change, const Origin& origin, Effects& effects) {
  const std::lock_guard lock(queue_mutex_);
  if (!is_final(change.job.state)) queue_.add_job(queued(change.job));
  for (const TaskRecord& task : change.tasks) mirror_task(change, task, origin, effects);
  if (is_final(change.job.state)) queue_.end_job(change.job.id);
}

void Scheduler::mirror_task(const WorkChange& change, const TaskRecord& task, const Origin& origin, Effects& effects) {
  const long long now_us = parts_.clock.now_us();
  const Roster::Attempt* known = roster_.find(task.id);
  const int before = known ? static_cast<int>(known->members.size()) : 0;
  if (task.state == v1::STAGE_STATE_RUNNING) {
    queue_.remove(task.id);
    roster_.put(task, change.job.state == v1::JOB_STATE_CANCELLING, lease_end());
    const int change_of_ranks = static_cast<int>(task.members.size()) - before;
    if (change_of_ranks != 0) queue_.started(task.tenant_id, change_of_ranks, now_us);
    return;
  }
  if (const auto gone = roster_.remove(task.id)) {
    queue_.ended(task.tenant_id, before, now_us);
    for (const Roster::Member& member : gone->members) {
      const bool knows = origin.task_id == task.id && origin.worker_id == member.worker_id &&
                         origin.member.value_or(member.number) == member.number;
      if (knows || member.state == MemberState::kReserved || task.state == v1::STAGE_STATE_SUCCEEDED) continue;
      effects.sends.emplace_back(member.worker_id, cancel_message(coordinator::lease_of(*gone, member.number),
                                                                  v1::CANCEL_REASON_LEASE_LOST, {}));
    }
  }
  if (task.state == v1::STAGE_STATE_WAITING)
    queue_.put(waiting(task, change.job.expected_objects, now_us));
  else
    queue_.remove(task.id);
}

void Scheduler::finish(Effects& effects) {
  for (const auto& [change, origin] : effects.changes) mirror(change, origin, effects);
  for (auto& [worker_id, message] : effects.sends) {
    const auto ticket = tickets_.find(worker_id);
    if (ticket != tickets_.end()) workers_.at(ticket->second).link->send(std::move(message));
  }
  for (const std::string& job_id : effects.changed_jobs) parts_.changes.changed(job_id);
  for (const auto& [tenant_id, artefact_id] : effects.obsolete_artefacts) {
    const Status status = parts_.artefacts.remove(tenant_id, artefact_id);
    if (!status.ok()) log_warning("artefact not removed", {{"artefact", artefact_id}, {"err", status.ToString()}});
  }
  effects = {};
}

const Scheduler::Worker* Scheduler::attached(const std::string& worker_id) const {
  const auto ticket = tickets_.find(worker_id);
  return ticket == tickets_.end() ? nullptr : &workers_.at(ticket->second);
}

void Scheduler::submitted(const WorkChange& change) {
  {
    const std::lock_guard lock(queue_mutex_);
    queue_.add_job(queued(change.job));
    for (const TaskRecord& task : change.tasks) {
      if (task.state == v1::STAGE_STATE_WAITING) queue_.put(waiting(task, change.job.expected_objects, 0));
    }
    // No slot was left at the last look: whatever frees one looks again by itself.
    if (capacity_.free(v1::DENOISER_UNSPECIFIED) == 0) return;
  }
  // Whoever holds the scheduler looks once more before it lets go; if it has looked already, the next tick does.
  woken_ = true;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock()) give_out();
}

// Weights and limits, as of some seconds ago at most.
void Scheduler::refresh_shares(bool now) {
  const long long now_us = parts_.clock.now_us();
  if (!now && now_us - shares_read_us_ < kReadSharesEveryUs) return;
  shares_read_us_ = now_us;
  std::vector<TenantRecord> tenants;
  const Status status = parts_.database.read([&](soci::session& sql) -> Status {
    ESP_ASSIGN(tenants, TenantRepository(sql).all());
    return absl::OkStatus();
  });
  if (!status.ok()) return log_warning("tenants not read", {{"err", status.ToString()}});
  const std::lock_guard lock(queue_mutex_);
  for (const TenantRecord& tenant : tenants) {
    const v1::TenantLimits& limits = tenant.limits;
    queue_.set_share(tenant.id,
                     {tenant.weight, limits.max_queued_jobs(), limits.max_running_jobs(), limits.max_gpus()});
  }
}

Scheduler::Admission::Admission(Scheduler& scheduler, std::string tenant_id, int ranks)
    : scheduler_(scheduler), tenant_id_(std::move(tenant_id)) {
  const std::lock_guard lock(scheduler_.queue_mutex_);
  const TenantShare share = scheduler_.queue_.share_of(tenant_id_);
  if (share.max_ranks > 0 && ranks > share.max_ranks) {
    status_ =
        quota_exceeded("max_gpus", absl::StrCat("spec.world_size: ", ranks, " is more than the tenant's limit of ",
                                                share.max_ranks, " ranks at the same time"));
    return;
  }
  counted_ = scheduler_.queue_.admit(tenant_id_);
  if (counted_) return;
  status_ =
      quota_exceeded("max_queued_jobs", absl::StrCat("the tenant has ", share.max_queued_jobs,
                                                     " queued jobs, its limit: submit again when some have begun"));
}

Scheduler::Admission::~Admission() {
  if (!counted_) return;
  const std::lock_guard lock(scheduler_.queue_mutex_);
  scheduler_.queue_.settle_admission(tenant_id_);
}

int Scheduler::queue_position(const std::string& job_id) {
  const std::lock_guard lock(queue_mutex_);
  return queue_.position(job_id);
}

std::string Scheduler::waiting_reason(const std::string& job_id) {
  const std::lock_guard lock(queue_mutex_);
  if (attached_ == 0) return "no worker is attached";
  return attached_ == draining_ ? "all workers are stopping" : queue_.reason(job_id, capacity_);
}

}  // namespace espalier::coordinator
