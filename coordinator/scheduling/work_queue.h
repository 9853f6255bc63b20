#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/config.h"
#include "coordinator/scheduling/fair_share.h"
#include "coordinator/scheduling/placement.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::coordinator {

// What a tenant may have. 0 is no limit.
struct TenantShare {
  double weight = 1;
  int max_queued_jobs = 0;
  int max_running_jobs = 0;
  int max_ranks = 0;  // at the same time
  bool operator==(const TenantShare&) const = default;
};

// A job as the queue sees it.
struct QueuedJob {
  std::string id;
  std::string tenant_id;
  v1::Priority priority = v1::PRIORITY_NORMAL;
  long long submit_us = 0;
  long long number = 0;  // order of submission
  bool begun = false;    // a task has been started: it counts as running until it has ended
};

// A task that could run.
struct WaitingTask {
  std::string id;
  std::string job_id;
  v1::Denoiser denoiser = v1::DENOISER_UNSPECIFIED;  // UNSPECIFIED: a preparation
  int position = 0;                                  // within the job
  int ranks = 1;
  bool interrupted = false;     // ran before: after a wait it takes fewer ranks than asked for
  long long not_before_us = 0;  // earliest start
  std::string worker_id;        // of the attempt before
  int objects = 0;              // of a preparation that may be shared out; 0: it may not
};

// All waiting work of all tenants, and the choice of what starts next: the whole scheduling policy, see
// docs/scheduling.md. Adding, removing and choosing cost O(log n) of the waiting tasks; a choice looks at one task of
// each distinct shape (denoiser, ranks), never at all. Pure: times are given, nothing is stored. Not thread-safe.
class WorkQueue {
 public:
  explicit WorkQueue(SchedulingConfig config);
  ~WorkQueue();

  // A tenant that was never set has the configured defaults.
  void set_share(const std::string& tenant_id, const TenantShare& share);
  TenantShare share_of(const std::string& tenant_id) const;

  void add_job(const QueuedJob& job);  // again: no effect, but that a job may have begun
  void begin_job(const std::string& job_id);
  void end_job(const std::string& job_id);  // what of it still waits is removed

  std::string tenant_of(const std::string& job_id) const;  // empty for an unknown one
  void clear();                                            // of jobs and tasks; what ran stays known

  void put(const WaitingTask& task);  // again: replaces it; its job must be there
  void remove(const std::string& task_id);

  // Ranks of a tenant begin and end to run. Whoever starts a choice says so at once, so that the next one knows it.
  void started(const std::string& tenant_id, int ranks, long long now_us);
  void ended(const std::string& tenant_id, int ranks, long long now_us);
  // Usage from before a restart.
  void add_usage(const std::string& tenant_id, int ranks, long long from_us, long long to_us);

  struct Choice {
    WaitingTask task;
    int ranks = 1;  // to start with: fewer than task.ranks when it shrinks
    // Place it beside the slots that tasks of this denoiser could use: they are held for a gang.
    std::optional<v1::Denoiser> held;
  };
  // The task to start now, which stays in the queue until remove(); nothing when no task fits.
  std::optional<Choice> next(const Capacity& capacity, long long now_us);

  // The gang whose turn it is and that does not fit now; `reserved` once slots are held for it.
  struct Blocked {
    WaitingTask task;
    bool reserved = false;
  };
  // Gangs that were newly blocked or reserved since the last call; for the log.
  std::vector<Blocked> take_blocked();

  // Jobs of the tenant that have not begun, and how many of them are before this one (-1: not there or begun).
  int queued_jobs(const std::string& tenant_id) const;
  int position(const std::string& job_id) const;
  // Why no task of the job starts, for people; empty when it has none waiting.
  std::string reason(const std::string& job_id, const Capacity& capacity) const;

  // One more submitted job would be within the limit; if so it counts as queued until settle_admission().
  bool admit(const std::string& tenant_id);
  void settle_admission(const std::string& tenant_id);

 private:
  // Within a tenant: by priority and submit time. A job that has waited one ageing step counts as one of the next
  // higher priority, so the order of two jobs never changes: submit time minus priority · step.
  struct Order {
    long long virtual_us = 0;
    long long job_number = 0;
    int position = 0;
    std::string task_id;
    auto operator<=>(const Order&) const = default;
  };
  // Tasks of one tenant with an equal shape differ in their order only: if the first does not fit, none does.
  struct Shape {
    v1::Denoiser denoiser = v1::DENOISER_UNSPECIFIED;
    int ranks = 1;
    bool shrinks = false;  // would take fewer
    bool fresh = false;    // would begin its job
    auto operator<=>(const Shape&) const = default;
  };
  struct Candidate {  // a tenant in the order of a shape
    double score = 0;
    std::string tenant_id;
    auto operator<=>(const Candidate&) const = default;
  };
  struct Task {
    WaitingTask task;
    std::string tenant_id;
    Order order;
    Shape shape;
    bool ready = false;        // its time has come
    long long blocked_us = 0;  // since when it is its turn without fitting; 0: not yet
    long long timer_us = 0;    // its entry in timers_; 0: none
  };
  struct Job {
    QueuedJob job;
    std::set<std::string> tasks;
  };
  struct Tenant;
  struct Pick {
    const Shape* shape = nullptr;
    Candidate candidate;
    Order order;
  };

  Tenant& tenant(const std::string& tenant_id);
  const Tenant* find_tenant(const std::string& tenant_id) const;
  Order order_of(const Job& job, const WaitingTask& task) const;
  bool allowed(const std::string& tenant_id, const Tenant& tenant, const Shape& shape) const;
  int ranks_left(const std::string& tenant_id, const Tenant& tenant) const;
  void publish(const std::string& tenant_id);
  void index(Task& task);
  void unindex(Task& task);
  void set_timer(Task& task, long long at_us);
  void run_timers(long long now_us);
  void settle(long long now_us);
  bool fits(const Shape& shape, const Capacity& capacity, bool respect_hold) const;
  std::optional<Pick> first(const Capacity& capacity, bool now) const;
  std::optional<Choice> reserved_choice(const Capacity& capacity);
  Choice choice_of(const Task& task, const Capacity& capacity) const;
  void note_blocked(const Pick& head, long long now_us);

  const SchedulingConfig config_;
  FairShare shares_;
  std::map<std::string, std::unique_ptr<Tenant>> tenants_;
  std::unordered_map<std::string, Job> jobs_;
  std::unordered_map<std::string, Task> tasks_;
  std::map<Shape, std::set<Candidate>> candidates_;
  std::set<std::pair<long long, std::string>> timers_;  // when, task
  std::string reserved_;                                // task that slots are held for; empty: none
  std::vector<Blocked> newly_blocked_;
  long long settled_us_ = 0;
};

}  // namespace espalier::coordinator
