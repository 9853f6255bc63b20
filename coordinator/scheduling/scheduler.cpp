#include "coordinator/scheduling/scheduler.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/scheduling/leases.h"
#include "coordinator/scheduling/report.h"

namespace espalier::coordinator {
namespace {

constexpr long long kStoreIntervalUs = 1'000'000;
constexpr size_t kMaxUncommitted = 512;

v1::CoordinatorMessage cancel_message(const v1::TaskLease& lease, v1::CancelReason reason, Milliseconds grace) {
  v1::CoordinatorMessage message;
  auto* cancel = message.mutable_cancel_task();
  *cancel->mutable_lease() = lease;
  cancel->set_reason(reason);
  cancel->set_grace_ms(reason == v1::CANCEL_REASON_LEASE_LOST ? 0 : static_cast<int>(grace.count()));
  return message;
}

bool is_current(const TaskRecord& task, const v1::TaskLease& lease) {
  return task.state == v1::STAGE_STATE_RUNNING && task.id == lease.task_id() && task.attempt == lease.attempt() &&
         static_cast<uint64_t>(task.fencing_token) == lease.fencing_token();
}

// Of several progress reports of one task only the last makes an event; the points of all are kept.
std::vector<v1::WorkerMessage> coalesced(const std::vector<v1::WorkerMessage>& messages) {
  std::vector<v1::WorkerMessage> out;
  for (const v1::WorkerMessage& message : messages) {
    const bool same_stream = !out.empty() && out.back().message_case() == message.message_case() && lease_of(message) &&
                             lease_of(out.back())->fencing_token() == lease_of(message)->fencing_token();
    if (same_stream && message.has_training_progress()) {
      auto* merged = out.back().mutable_training_progress();
      merged->mutable_points()->MergeFrom(message.training_progress().points());
      merged->set_total_steps(message.training_progress().total_steps());
      merged->set_eta_seconds(message.training_progress().eta_seconds());
    } else if (same_stream && message.has_preparation_progress()) {
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

Status Scheduler::recover() {
  const long long until = parts_.clock.now_us() + std::chrono::microseconds(leases_.time).count();
  return parts_.database.transaction([&](soci::session& sql) -> Status {
    TaskRepository(sql).extend_all_leases(until);
    return absl::OkStatus();
  });
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
  worker.slots = hello.slots();
  for (const int denoiser : hello.denoisers()) worker.denoisers.insert(static_cast<v1::Denoiser>(denoiser));
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
  workers_.emplace(ticket, std::move(worker));
  finish(effects);
  give_out();
  return ticket;
}

Status Scheduler::admit(soci::session& sql, const v1::Hello& hello, Worker& worker, Effects& effects) {
  WorkerRepository workers(sql);
  WorkerRecord record = workers.find(worker.id);
  if (worker.epoch < record.epoch) return absl::AbortedError("a newer process has attached under this worker id");
  const bool restarted = worker.epoch > record.epoch;
  if (restarted) record.acked_seq = 0;
  record.epoch = worker.epoch;
  record.host = hello.host();
  record.version = hello.version();
  record.seen_us = parts_.clock.now_us();
  workers.put(record);
  worker.received_seq = static_cast<uint64_t>(record.acked_seq);

  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql).running_on(worker.id));
  for (TaskRecord& task : tasks) {
    const bool claimed = std::any_of(hello.running().begin(), hello.running().end(),
                                     [&](const v1::TaskLease& lease) { return is_current(task, lease); });
    if (claimed) continue;
    // Without a restart the assignment never arrived: nobody is to blame.
    ESP_TRY(lose(sql, task, "the worker was restarted", /*counts=*/restarted, effects));
  }
  for (const v1::TaskLease& lease : hello.running()) ESP_TRY(renew(sql, worker, lease, effects));
  return absl::OkStatus();
}

Status Scheduler::lose(soci::session& sql, TaskRecord& task, const std::string& why, bool counts, Effects& effects) {
  ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task.job_id, ""));
  Lifecycle life = lifecycle(sql);
  ESP_TRY(counts ? life.failed(job, task, why, /*permanent=*/false) : life.handed_back(job, task));
  effects.changed_jobs.insert(job.id);
  effects.obsolete_artefacts.insert(effects.obsolete_artefacts.end(), life.obsolete().begin(), life.obsolete().end());
  log_warning("task lost", {{"job", job.id}, {"task", task.id}, {"attempt", task.attempt}, {"reason", why}});
  return absl::OkStatus();
}

Status Scheduler::renew(soci::session& sql, Worker& worker, const v1::TaskLease& lease, Effects& effects) {
  auto task = task_of_current_lease(sql, lease);
  if (absl::IsAborted(task.status())) {
    effects.sends.emplace_back(worker.id, cancel_message(lease, v1::CANCEL_REASON_LEASE_LOST, {}));
    return absl::OkStatus();
  }
  ESP_TRY(task.status());
  task->lease_until_us = parts_.clock.now_us() + std::chrono::microseconds(leases_.time).count();
  TaskRepository(sql).update(*task);
  ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(task->job_id, ""));
  if (job.state == v1::JOB_STATE_CANCELLING) {
    effects.sends.emplace_back(worker.id, cancel_message(lease, v1::CANCEL_REASON_BY_USER, leases_.cancel_grace));
  }
  return absl::OkStatus();
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
  ESP_TRY(store(worker));
  give_out();
  return absl::OkStatus();
}

Status Scheduler::heartbeat(Worker& worker, const v1::Heartbeat& heartbeat) {
  worker.draining = heartbeat.draining();
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) -> Status {
    for (const v1::TaskLease& lease : heartbeat.running()) {
      const Status renewed = renew(sql, worker, lease, effects);
      if (!renewed.ok()) return renewed;
    }
    return absl::OkStatus();
  });
  ESP_TRY(status);
  finish(effects);
  return absl::OkStatus();
}

Status Scheduler::store(Worker& worker) {
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) -> Status {
    for (const v1::WorkerMessage& message : coalesced(worker.uncommitted)) {
      const Status applied = apply(sql, worker, message, effects);
      if (!applied.ok()) return applied;
    }
    WorkerRecord record = WorkerRepository(sql).find(worker.id);
    record.acked_seq = static_cast<long long>(worker.received_seq);
    record.seen_us = parts_.clock.now_us();
    WorkerRepository(sql).put(record);
    return absl::OkStatus();
  });
  if (!status.ok()) log_error("reports not stored", {{"worker", worker.id}, {"error", status.ToString()}});
  ESP_TRY(status);
  worker.uncommitted.clear();
  worker.stored_us = parts_.clock.now_us();
  v1::CoordinatorMessage ack;
  ack.mutable_ack()->set_seq(worker.received_seq);
  worker.link->send(std::move(ack));
  finish(effects);
  return absl::OkStatus();
}

Status Scheduler::apply(soci::session& sql, Worker& worker, const v1::WorkerMessage& message, Effects& effects) {
  auto task = task_of_current_lease(sql, *lease_of(message));
  if (absl::IsAborted(task.status())) {
    // The end of a stale attempt needs no answer, anything else means that its child still runs.
    if (!message.has_task_finished()) {
      effects.sends.emplace_back(worker.id, cancel_message(*lease_of(message), v1::CANCEL_REASON_LEASE_LOST, {}));
    }
    return absl::OkStatus();
  }
  ESP_TRY(task.status());
  ESP_ASSIGN(JobRecord job, JobRepository(sql).find(task->job_id, ""));
  Lifecycle life = lifecycle(sql);
  ESP_TRY(ReportApplier(sql, life, parts_.clock.now_us()).apply(message, job, *task));
  effects.changed_jobs.insert(job.id);
  effects.obsolete_artefacts.insert(effects.obsolete_artefacts.end(), life.obsolete().begin(), life.obsolete().end());
  return absl::OkStatus();
}

void Scheduler::detach(uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  const auto found = workers_.find(ticket);
  if (found == workers_.end()) return;
  if (!found->second.uncommitted.empty()) (void)store(found->second);  // else the worker sends them again
  log_info("worker detached", {{"worker", found->second.id}});
  tickets_.erase(found->second.id);
  workers_.erase(found);
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
      if (task.state != v1::STAGE_STATE_RUNNING) continue;
      effects.sends.emplace_back(
          task.worker_id, cancel_message(coordinator::lease_of(task), v1::CANCEL_REASON_BY_USER, leases_.cancel_grace));
    }
    effects.obsolete_artefacts = life.obsolete();
    if (!had_ended) effects.changed_jobs.insert(job.id);
    return describe_job(sql, job);
  });
  if (described.ok()) finish(effects);
  return described;
}

void Scheduler::wake() {
  const std::lock_guard lock(mutex_);
  give_out();
}

void Scheduler::tick() {
  const std::lock_guard lock(mutex_);
  const long long now_us = parts_.clock.now_us();
  std::vector<uint64_t> broken;
  for (auto& [ticket, worker] : workers_) {
    if (worker.uncommitted.empty() || now_us - worker.stored_us < kStoreIntervalUs) continue;
    if (const Status status = store(worker); !status.ok()) {
      worker.link->close(absl::UnavailableError("reports cannot be stored now: attach again"));
      broken.push_back(ticket);
    }
  }
  for (const uint64_t ticket : broken) {
    tickets_.erase(workers_.at(ticket).id);
    workers_.erase(ticket);
  }
  Effects effects;
  const Status status = parts_.database.transaction([&](soci::session& sql) { return expire(sql, effects); });
  if (status.ok())
    finish(effects);
  else
    log_error("leases not checked", {{"error", status.ToString()}});
  give_out();
}

Status Scheduler::expire(soci::session& sql, Effects& effects) {
  ESP_ASSIGN(std::vector<TaskRecord> tasks, TaskRepository(sql).with_lease_before(parts_.clock.now_us()));
  for (TaskRecord& task : tasks) {
    effects.sends.emplace_back(task.worker_id,
                               cancel_message(coordinator::lease_of(task), v1::CANCEL_REASON_LEASE_LOST, {}));
    ESP_TRY(lose(sql, task, "the worker stopped answering", /*counts=*/true, effects));
  }
  return absl::OkStatus();
}

void Scheduler::finish(Effects& effects) {
  for (auto& [worker_id, message] : effects.sends) {
    const auto ticket = tickets_.find(worker_id);
    if (ticket != tickets_.end()) workers_.at(ticket->second).link->send(std::move(message));
  }
  for (const std::string& job_id : effects.changed_jobs) parts_.changes.changed(job_id);
  for (const auto& [tenant_id, artefact_id] : effects.obsolete_artefacts) {
    const Status status = parts_.artefacts.remove(tenant_id, artefact_id);
    if (!status.ok()) log_warning("artefact not removed", {{"artefact", artefact_id}, {"error", status.ToString()}});
  }
  effects = {};
}

std::string Scheduler::waiting_reason() {
  const std::lock_guard lock(mutex_);
  if (workers_.empty()) return "no worker is attached";
  const bool all_draining =
      std::all_of(workers_.begin(), workers_.end(), [](const auto& entry) { return entry.second.draining; });
  return all_draining ? "all workers are stopping" : "all workers are busy";
}

}  // namespace espalier::coordinator
