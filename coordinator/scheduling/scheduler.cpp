#include "coordinator/scheduling/scheduler.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/scheduling/leases.h"
#include "coordinator/scheduling/messages.h"
#include "coordinator/scheduling/report.h"

// What workers say: hello, heartbeats, reports, and silence.
//
// Every change takes the same way, under mutex_: one transaction changes the database and notes in Effects what follows
// from it; only after the commit does finish() bring the picture in memory up to date, send messages and wake watchers.
// So a transaction that fails has told nobody anything. The exception is give_out(), which takes tasks out of the queue
// first, and has the picture read anew when its transaction fails.
//
// Reports arrive at least once and take effect once. A worker numbers them, keeps each until it is acked, and repeats
// after a new stream what was not. The ack follows the commit; a number that was taken in before is only acked again.
//
// A lease (Gray and Cheriton 1989) bounds how long a silent worker can hold a task: when it is over the task may start
// elsewhere, and what the old attempt still reports is refused by its fencing token, which is older than the task's.
namespace espalier::coordinator {
namespace {

constexpr long long kStoreIntervalUs = 1'000'000;
constexpr size_t kMaxUncommitted = 512;

// Of several progress reports of one task only the last makes an event; the points of all are kept.
std::vector<v1::WorkerMessage> coalesced(const std::vector<v1::WorkerMessage>& messages) {
  std::vector<v1::WorkerMessage> out;
  for (const v1::WorkerMessage& message : messages) {
    const bool same_stream = !out.empty() && out.back().message_case() == message.message_case() && lease_of(message) &&
                             lease_of(out.back())->fencing_token() == lease_of(message)->fencing_token() &&
                             lease_of(out.back())->member() == lease_of(message)->member();
    if (same_stream && message.has_training_progress()) {
      auto* merged = out.back().mutable_training_progress();
      merged->mutable_points()->MergeFrom(message.training_progress().points());
      merged->set_total_steps(message.training_progress().total_steps());
      merged->set_eta_seconds(message.training_progress().eta_seconds());
    } else if (same_stream && (message.has_preparation_progress() || message.has_evaluation_progress())) {
      out.back() = message;
    } else {
      out.push_back(message);
    }
  }
  return out;
}

}  // namespace

Lifecycle Scheduler::lifecycle(soci::session& sql) const {
  return Lifecycle(sql, leases_, base_.name, parts_.clock.now_us());
}

long long Scheduler::lease_end() const {
  return parts_.clock.now_us() + std::chrono::microseconds(leases_.time).count();
}

void Scheduler::Effects::take(const JobRecord& job, const Lifecycle& life, Origin origin) {
  changes.emplace_back(life.change(job), std::move(origin));
  changed_jobs.insert(job.id);
  obsolete_artefacts.insert(obsolete_artefacts.end(), life.obsolete().begin(), life.obsolete().end());
}

Status Scheduler::check_hello(const v1::Hello& hello) const {
  if (!is_id(hello.worker_id(), "wrk")) {
    return absl::InvalidArgumentError("hello.worker_id: must be wrk_ and 26 characters of [0-9a-z]");
  }
  if (hello.slots() < 1 || hello.slots() > 64) {
    return absl::InvalidArgumentError(absl::StrCat("hello.slots: ", hello.slots(), " is not in 1 to 64"));
  }
  if (hello.epoch() == 0 || hello.epoch() > static_cast<uint64_t>(INT64_MAX)) {
    return absl::InvalidArgumentError("hello.epoch: must be the process's start in microseconds since 1970");
  }
  if (hello.base() != base_.name) {
    return absl::FailedPreconditionError(absl::StrCat("the worker has the base model '", hello.base(),
                                                      "', this coordinator trains on '", base_.name, "'"));
  }
  return absl::OkStatus();
}

Result<uint64_t> Scheduler::attach(const v1::Hello& hello, std::shared_ptr<WorkerLink> link) {
  ESP_TRY(check_hello(hello));
  const std::lock_guard lock(mutex_);
  Worker worker;
  worker.id = hello.worker_id();
  worker.epoch = static_cast<long long>(hello.epoch());
  worker.link = std::move(link);
  worker.address = hello.address().empty() ? hello.host() : hello.address();
  worker.host = worker.address.empty() ? worker.id : worker.address;
  worker.slots = hello.slots();
  for (const int denoiser : hello.denoisers()) worker.denoisers |= bit(static_cast<v1::Denoiser>(denoiser));
  worker.stored_us = parts_.clock.now_us();
  Effects effects;
  ESP_TRY(parts_.database.transaction([&](soci::session& sql) { return admit(sql, hello, worker, effects); }));

  if (const auto older = tickets_.find(worker.id); older != tickets_.end()) {
    workers_.at(older->second).link->close(absl::AbortedError("a newer stream of this worker has attached"));
    workers_.erase(older->second);
  }
  v1::CoordinatorMessage welcome;
  welcome.mutable_welcome()->set_acked_seq(worker.received_seq);
  welcome.mutable_welcome()->set_heartbeat_interval_ms(static_cast<int>(leases_.heartbeat.count()));
  welcome.mutable_welcome()->set_lease_ms(static_cast<int>(leases_.time.count()));
  worker.link->send(std::move(welcome));
  log_info("worker attached", {{"worker", worker.id}, {"host", hello.host()}, {"slots", worker.slots}});
  const uint64_t ticket = next_ticket_++;
  tickets_[worker.id] = ticket;
  const Worker& kept = workers_.emplace(ticket, std::move(worker)).first->second;
  for (const v1::TaskLease& lease : hello.running()) renew(kept, lease, effects);
  renew_reserved(kept);
  finish(effects);
  give_out();
  return ticket;
}

Status Scheduler::admit(soci::session& sql, const v1::Hello& hello, Worker& worker, Effects& effects) {
  WorkerRepository workers(sql);
  WorkerRecord record = workers.find(worker.id);
  if (worker.epoch < record.epoch) return absl::AbortedError("a newer process has attached under this worker id");
  const bool restarted = worker.epoch > record.epoch;
  if (restarted) record.acked_seq = 0;  // a new process numbers its reports anew
  record.epoch = worker.epoch;
  record.host = hello.host();
  record.version = hello.version();
  record.seen_us = parts_.clock.now_us();
  workers.put(record);
  worker.received_seq = static_cast<uint64_t>(record.acked_seq);

  // What the coordinator believes to be on this worker, and the worker does not claim, is nowhere.
  std::map<std::string, std::vector<int>> lost;  // members by task
  for (const Roster::Slot& slot : roster_.held_by(worker.id)) {
    if (roster_.state_of(slot) == MemberState::kReserved) continue;  // it was told nothing yet
    const v1::TaskLease lease = lease_of(*roster_.find(slot.first), slot.second);
    const bool claimed = std::any_of(hello.running().begin(), hello.running().end(), [&](const v1::TaskLease& other) {
      return other.fencing_token() == lease.fencing_token() && other.member() == lease.member();
    });
    if (!claimed) lost[slot.first].push_back(slot.second);
  }
  for (const auto& [task_id, members] : lost) {
    // Without a restart the assignment never arrived: nobody is to blame.
    ESP_TRY(lose(sql, *roster_.find(task_id), members, "the worker was restarted", /*counts=*/restarted,
                 {task_id, worker.id, std::nullopt}, effects));
  }
  return absl::OkStatus();
}

// One member that is gone ends the attempt of all; of a job that is being cancelled only itself.
Status Scheduler::lose(soci::session& sql, const Roster::Attempt& attempt, const std::vector<int>& members,
                       const std::string& why, bool counts, const Origin& origin, Effects& effects) {
  ESP_ASSIGN(TaskRecord task, TaskRepository(sql).find(attempt.task_id));
  if (task.state != v1::STAGE_STATE_RUNNING || task.fencing_token != attempt.fencing_token) return absl::OkStatus();
  ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task.job_id, ""));
  Lifecycle life = lifecycle(sql);
  if (job.state == v1::JOB_STATE_CANCELLING) {
    for (const int member : members) {
      if (task.state == v1::STAGE_STATE_RUNNING) ESP_TRY(life.member_stopped(job, task, member));
    }
  } else {
    ESP_TRY(counts ? life.failed(job, task, why, /*permanent=*/false) : life.handed_back(job, task));
  }
  effects.take(job, life, origin);
  log_warning(
      "task lost",
      {{"job", job.id}, {"tenant", job.tenant_id}, {"task", task.id}, {"attempt", task.attempt}, {"reason", why}});
  return absl::OkStatus();
}

// A lease that is not current is answered each time: the worker may have missed the cancellation, too.
void Scheduler::renew(const Worker& worker, const v1::TaskLease& lease, Effects& effects) {
  const Roster::Attempt* attempt = roster_.current(lease);
  if (!attempt) {
    effects.sends.emplace_back(worker.id, cancel_message(lease, v1::CANCEL_REASON_LEASE_LOST, {}));
    return;
  }
  if (attempt->cancelling) {
    effects.sends.emplace_back(worker.id, cancel_message(lease, v1::CANCEL_REASON_BY_USER, leases_.cancel_grace));
  }
  roster_.renew(lease.task_id(), lease.member(), lease_end());
}

// A slot that is kept for a gang is as alive as its worker.
void Scheduler::renew_reserved(const Worker& worker) {
  for (const Roster::Slot& slot : roster_.held_by(worker.id)) {
    if (roster_.state_of(slot) == MemberState::kReserved) roster_.renew(slot.first, slot.second, lease_end());
  }
}

Status Scheduler::receive(uint64_t ticket, const v1::WorkerMessage& message) {
  const std::lock_guard lock(mutex_);
  const auto found = workers_.find(ticket);
  if (found == workers_.end()) return absl::AbortedError("a newer stream of this worker has attached");
  Worker& worker = found->second;
  if (message.has_heartbeat()) return heartbeat(worker, message.heartbeat());
  if (!lease_of(message)) return absl::InvalidArgumentError("a report of a kind that is not known here");
  if (message.seq() > worker.received_seq + 1 || message.seq() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("report ", message.seq(), " came after ", worker.received_seq, ": reports must be in order"));
  }
  if (message.seq() == worker.received_seq + 1) {
    worker.received_seq = message.seq();
    worker.uncommitted.push_back(message);
  }
  if (is_bufferable(message) && worker.uncommitted.size() < kMaxUncommitted) return absl::OkStatus();
  ESP_TRY(store({&worker}));
  give_out();
  return absl::OkStatus();
}

Status Scheduler::heartbeat(Worker& worker, const v1::Heartbeat& heartbeat) {
  worker.draining = heartbeat.draining();
  Effects effects;
  for (const v1::TaskLease& lease : heartbeat.running()) renew(worker, lease, effects);
  renew_reserved(worker);
  finish(effects);
  return absl::OkStatus();
}

// Commits what the workers have reported, all of it or nothing, then acks it.
Status Scheduler::store(const std::vector<Worker*>& workers) {
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) -> Status {
    for (Worker* worker : workers) {
      for (const v1::WorkerMessage& message : coalesced(worker->uncommitted)) {
        ESP_TRY(apply(sql, *worker, message, effects));
      }
      WorkerRecord record = WorkerRepository(sql).find(worker->id);
      record.acked_seq = static_cast<long long>(worker->received_seq);
      record.seen_us = parts_.clock.now_us();
      WorkerRepository(sql).put(record);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) {
    log_error("reports not stored", {{"workers", workers.size()}, {"err", status.ToString()}});
    return status;
  }
  for (Worker* worker : workers) {
    worker->uncommitted.clear();
    worker->stored_us = parts_.clock.now_us();
    v1::CoordinatorMessage ack;
    ack.mutable_ack()->set_seq(worker->received_seq);
    worker->link->send(std::move(ack));
  }
  finish(effects);
  return absl::OkStatus();
}

Status Scheduler::apply(soci::session& sql, Worker& worker, const v1::WorkerMessage& message, Effects& effects) {
  const v1::TaskLease& lease = *lease_of(message);
  auto task = task_of_current_lease(sql, lease);
  if (absl::IsAborted(task.status())) {
    // The end of a stale attempt needs no answer, anything else means that its child still runs.
    if (!message.has_task_finished()) {
      effects.sends.emplace_back(worker.id, cancel_message(lease, v1::CANCEL_REASON_LEASE_LOST, {}));
    }
    return absl::OkStatus();
  }
  ESP_TRY(task.status());
  ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task->job_id, ""));
  Lifecycle life = lifecycle(sql);
  ESP_TRY(ReportApplier(sql, life, parts_.clock.now_us()).apply(message, job, *task));
  effects.take(job, life, Origin{lease.task_id(), worker.id, lease.member()});
  return message.has_rendezvous_ready() ? call_members(sql, job, *task, effects) : absl::OkStatus();
}

void Scheduler::detach(uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  const auto found = workers_.find(ticket);
  if (found == workers_.end()) return;
  if (!found->second.uncommitted.empty()) (void)store({&found->second});  // else the worker sends them again
  log_info("worker detached", {{"worker", found->second.id}});
  tickets_.erase(found->second.id);
  workers_.erase(found);
}

// Reports that have waited a second, of all workers in one transaction.
void Scheduler::store_due() {
  const long long now_us = parts_.clock.now_us();
  std::vector<Worker*> due;
  for (auto& [ticket, worker] : workers_) {
    if (!worker.uncommitted.empty() && now_us - worker.stored_us >= kStoreIntervalUs) due.push_back(&worker);
  }
  if (due.empty() || store(due).ok()) return;
  for (Worker* worker : due) {  // one of them may be at fault: the others must not suffer
    if (due.size() > 1 && store({worker}).ok()) continue;
    worker->link->close(absl::UnavailableError("reports cannot be stored now: attach again"));
    const uint64_t ticket = tickets_.at(worker->id);
    tickets_.erase(worker->id);
    workers_.erase(ticket);
  }
}

// Ends attempts with a member that was silent for too long, or whose members have not found each other.
void Scheduler::expire() {
  const std::vector<Roster::Overdue> overdue = roster_.overdue(parts_.clock.now_us());
  if (overdue.empty()) return;
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) -> Status {
    for (const Roster::Overdue& late : overdue) {
      std::vector<int> members;
      for (const Roster::Member& member : late.expired) {
        members.push_back(member.number);
        if (!late.attempt.cancelling) continue;  // else the end of the attempt is told to all of them
        effects.sends.emplace_back(member.worker_id, cancel_message(coordinator::lease_of(late.attempt, member.number),
                                                                    v1::CANCEL_REASON_LEASE_LOST, {}));
      }
      const std::string why =
          members.empty() ? "the members of the gang did not find each other in time" : "the worker stopped answering";
      ESP_TRY(lose(sql, late.attempt, members, why, /*counts=*/true, Origin{}, effects));
    }
    return absl::OkStatus();
  });
  if (status.ok())
    finish(effects);
  else
    log_error("leases not checked", {{"err", status.ToString()}});
}

void Scheduler::tick() {
  const std::lock_guard lock(mutex_);
  store_due();
  expire();
  refresh_shares(/*now=*/false);
  give_out();
}

Result<v1::Job> Scheduler::cancel(const std::string& tenant_id, const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  Effects effects;
  auto described = parts_.database.transaction([&](soci::session& sql) -> Result<v1::Job> {
    ESP_ASSIGN(JobRecord job, JobRepository(sql).find(job_id, tenant_id));
    const bool had_ended = is_final(job.state);
    Lifecycle life = lifecycle(sql);
    ESP_TRY(life.cancel(job));
    ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql).of_job(job.id));
    for (const TaskRecord& task : tasks) {
      for (const MemberRecord& member : task.members) {
        effects.sends.emplace_back(member.worker_id, cancel_message(coordinator::lease_of(task, member.member),
                                                                    v1::CANCEL_REASON_BY_USER, leases_.cancel_grace));
      }
    }
    effects.take(job, life);
    if (had_ended) effects.changed_jobs.clear();  // nothing is new to its watchers
    return describe_job(sql, job);
  });
  if (!described.ok()) return described;
  finish(effects);
  give_out();
  return described;
}

}  // namespace espalier::coordinator
