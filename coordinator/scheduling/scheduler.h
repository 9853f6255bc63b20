#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"
#include "coordinator/jobs/change_board.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/records.h"
#include "coordinator/scheduling/placement.h"
#include "coordinator/scheduling/roster.h"
#include "coordinator/scheduling/work_queue.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// The way to one attached worker. send() must not block and must not call back into the scheduler.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void send(v1::CoordinatorMessage message) = 0;
  // The scheduler gives the link up: end the stream with this status.
  virtual void close(const Status& why) = 0;
};

// Gives tasks to attached workers, keeps their leases, and turns their reports into changes of jobs. The protocol is
// described at WorkerService in worker.proto, the policy in docs/scheduling.md. Thread-safe; decisions about workers
// are made under one mutex, waiting work has another, so that a submission never waits for a worker's report. All state
// that must survive is in the database; what is in memory is a picture of it, updated after each commit.
class Scheduler {
 public:
  struct Parts {  // all must outlive the scheduler
    Database& database;
    ArtefactLibrary& artefacts;
    ChangeBoard& changes;
    const Clock& clock;
  };
  Scheduler(Parts parts, LeaseConfig leases, BaseConfig base, SchedulingConfig scheduling = {})
      : parts_(parts),
        leases_(std::move(leases)),
        base_(std::move(base)),
        scheduling_(scheduling),
        queue_(scheduling) {}

  // Call once after a start: reads what waits and runs; every running task gets a whole lease to be claimed again.
  Status recover();

  // A worker says hello. The welcome and everything that follows go through `link`. Returns a ticket for the calls
  // below. Errors as WorkerService.Attach documents.
  Result<uint64_t> attach(const v1::Hello& hello, std::shared_ptr<WorkerLink> link);
  // Heartbeats and reports. An error means that the stream must end; the worker then attaches again and repeats what
  // was not acked. ABORTED: the ticket was taken over.
  Status receive(uint64_t ticket, const v1::WorkerMessage& message);
  // The stream is gone. Tasks stay leased until their time is over.
  void detach(uint64_t ticket);

  Result<v1::Job> cancel(const std::string& tenant_id, const std::string& job_id);

  // Room for one more queued job of a tenant, kept while it is being stored.
  class Admission {
   public:
    Admission(Scheduler& scheduler, std::string tenant_id, int ranks);
    ~Admission();
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    // RESOURCE_EXHAUSTED with a QuotaFailure: the tenant's queue is full, or it may never run so many ranks.
    const Status& status() const { return status_; }

   private:
    Scheduler& scheduler_;
    const std::string tenant_id_;
    Status status_;
    bool counted_ = false;
  };
  // A job was stored: it waits from now on, and starts when there is room.
  void submitted(const WorkChange& change);
  // Stores buffered progress (at most once a second), ends leases whose time is over, gives out what waits.
  // Call several times a second.
  void tick();

  // Queued jobs of the tenant before this one; -1 when it is not queued.
  int queue_position(const std::string& job_id);
  // Why nothing of a waiting job runs, for people; empty when there is nothing to say.
  std::string waiting_reason(const std::string& job_id);

 private:
  struct Worker {
    std::string id;
    long long epoch = 0;
    std::shared_ptr<WorkerLink> link;
    std::string host;     // equal for workers on one machine
    std::string address;  // where other workers reach it
    int slots = 0;
    Denoisers denoisers = 0;
    bool draining = false;
    uint64_t received_seq = 0;  // newest taken in; acked after the commit
    std::vector<v1::WorkerMessage> uncommitted;
    long long stored_us = 0;  // when uncommitted was last emptied
  };
  // Whose report or loss ended an attempt: it needs not be told. No member: all of the task on that worker.
  struct Origin {
    std::string task_id;
    std::string worker_id;
    std::optional<int> member;
  };
  // What to do after the commit.
  struct Effects {
    std::vector<std::pair<WorkChange, Origin>> changes;
    std::vector<std::pair<std::string, v1::CoordinatorMessage>> sends;  // worker id, message
    std::set<std::string> changed_jobs;
    std::vector<std::pair<std::string, std::string>> obsolete_artefacts;

    void take(const JobRecord& job, const Lifecycle& life, Origin origin = {});
  };
  // A task that is about to start.
  struct Start {
    WaitingTask task;
    std::string tenant_id;
    std::vector<std::string> workers;  // by member
    int shards = 1;                    // to share a preparation out to
  };

  Lifecycle lifecycle(soci::session& sql) const;
  Status load();
  Status check_hello(const v1::Hello& hello) const;
  Status admit(soci::session& sql, const v1::Hello& hello, Worker& worker, Effects& effects);
  Status lose(soci::session& sql, const Roster::Attempt& attempt, const std::vector<int>& members,
              const std::string& why, bool counts, const Origin& origin, Effects& effects);
  Status heartbeat(Worker& worker, const v1::Heartbeat& heartbeat);
  void renew(const Worker& worker, const v1::TaskLease& lease, Effects& effects);
  void renew_reserved(const Worker& worker);
  Status store(const std::vector<Worker*>& workers);
  void store_due();
  Status apply(soci::session& sql, Worker& worker, const v1::WorkerMessage& message, Effects& effects);
  Status call_members(soci::session& sql, const JobRecord& job, const TaskRecord& task, Effects& effects) const;
  void expire();
  void refresh_shares(bool now);
  long long lease_end() const;

  // Starts what fits. The caller holds mutex_.
  void give_out();
  bool read_again();
  std::vector<Seat> seats() const;
  std::vector<Start> choose();
  Status begin(soci::session& sql, const Start& start, Effects& effects);
  Result<v1::AssignTask> assignment(soci::session& sql, const JobRecord& job, const TaskRecord& task, int member) const;
  void log_blocked();

  void mirror(const WorkChange& change, const Origin& origin, Effects& effects);
  void mirror_task(const WorkChange& change, const TaskRecord& task, const Origin& origin, Effects& effects);
  void finish(Effects& effects);
  const Worker* attached(const std::string& worker_id) const;

  const Parts parts_;
  const LeaseConfig leases_;
  const BaseConfig base_;
  const SchedulingConfig scheduling_;

  std::mutex mutex_;  // guards the seven below; taken before queue_mutex_
  uint64_t next_ticket_ = 1;
  std::map<uint64_t, Worker> workers_;       // attached, by ticket
  std::map<std::string, uint64_t> tickets_;  // by worker id
  Roster roster_;
  long long give_out_after_us_ = 0;  // a pause after the database failed
  bool picture_is_stale_ = false;    // and what was read from it before is not true any more
  long long shares_read_us_ = 0;

  std::mutex queue_mutex_;  // guards the four below
  WorkQueue queue_;
  Capacity capacity_;  // as of the last look
  size_t attached_ = 0, draining_ = 0;

  std::atomic<bool> woken_ = false;
};

}  // namespace espalier::coordinator
