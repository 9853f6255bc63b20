#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"
#include "coordinator/jobs/change_board.h"
#include "coordinator/jobs/records.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

class Lifecycle;

// The way to one attached worker. send() must not block and must not call back into the scheduler.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void send(v1::CoordinatorMessage message) = 0;
  // The scheduler gives the link up: end the stream with this status.
  virtual void close(const Status& why) = 0;
};

// Gives tasks to attached workers, keeps their leases, and turns their reports into changes of jobs. The protocol is
// described at WorkerService in worker.proto. Thread-safe; all decisions are made under one mutex, all state that must
// survive is in the database.
class Scheduler {
 public:
  struct Parts {  // all must outlive the scheduler
    Database& database;
    ArtefactLibrary& artefacts;
    ChangeBoard& changes;
    const Clock& clock;
  };
  Scheduler(Parts parts, LeaseConfig leases, BaseConfig base)
      : parts_(parts), leases_(std::move(leases)), base_(std::move(base)) {}

  // Call once after a start: every running task gets a whole lease to be claimed again.
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
  // A job was submitted: look for work to give out.
  void wake();
  // Stores buffered progress (at most once a second), ends leases whose time is over, gives out what waits.
  // Call several times a second.
  void tick();

  // Why nothing of a waiting job runs, for people; empty when there is nothing to say.
  std::string waiting_reason();

 private:
  struct Worker {
    std::string id;
    long long epoch = 0;
    std::shared_ptr<WorkerLink> link;
    int slots = 0;
    std::set<v1::Denoiser> denoisers;
    bool draining = false;
    uint64_t received_seq = 0;  // newest taken in; acked after the commit
    std::vector<v1::WorkerMessage> uncommitted;
    long long stored_us = 0;  // when uncommitted was last emptied
  };
  // What to do after the commit.
  struct Effects {
    std::vector<std::pair<std::string, v1::CoordinatorMessage>> sends;  // worker id, message
    std::set<std::string> changed_jobs;
    std::vector<std::pair<std::string, std::string>> obsolete_artefacts;
  };

  Lifecycle lifecycle(soci::session& sql) const;
  Status check_hello(const v1::Hello& hello) const;
  Status admit(soci::session& sql, const v1::Hello& hello, Worker& worker, Effects& effects);
  Status lose(soci::session& sql, TaskRecord& task, const std::string& why, bool counts, Effects& effects);
  Status heartbeat(Worker& worker, const v1::Heartbeat& heartbeat);
  Status renew(soci::session& sql, Worker& worker, const v1::TaskLease& lease, Effects& effects);
  Status store(Worker& worker);
  Status apply(soci::session& sql, Worker& worker, const v1::WorkerMessage& message, Effects& effects);
  Status expire(soci::session& sql, Effects& effects);
  Status assign(soci::session& sql, Effects& effects);
  Worker* pick_worker(const TaskRecord& task, std::map<std::string, int>& busy);
  Result<v1::AssignTask> assignment(soci::session& sql, const JobRecord& job, const TaskRecord& task) const;
  // Runs assign in its own transaction.
  void give_out();
  void finish(Effects& effects);

  const Parts parts_;
  const LeaseConfig leases_;
  const BaseConfig base_;
  std::mutex mutex_;  // guards all below
  uint64_t next_ticket_ = 1;
  std::map<uint64_t, Worker> workers_;       // attached, by ticket
  std::map<std::string, uint64_t> tickets_;  // by worker id
};

}  // namespace espalier::coordinator
