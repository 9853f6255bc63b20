#include "coordinator/scheduling/work_queue.h"

#include <algorithm>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "coordinator/names.h"

// Fair share between tenants (after Kay and Lauder 1988), and backfill with one reservation, as EASY has it (Lifka
// 1995), but without estimates of how long a task runs.
//
// The waiting tasks are three sorted levels deep:
//
//   candidates_[shape]  the tenants that may start a task of this shape, lowest score first
//   Tenant::ready[shape]  a tenant's tasks of it, in the tenant's own order
//   tasks_  each task
//
// Tasks of one shape fit together or not at all, so a choice compares the first task of the first tenant of each shape.
// What must hold between any two calls:
//   - a task whose time has come is in its tenant's `ready`, under the shape and order that it has now: its shape is
//     changed between unindex() and index();
//   - a tenant is a candidate of exactly those of its `ready` shapes that its limits allow, under the score that it had
//     at the last publish(). `published` holds these entries: by a score that has changed since, they would not be
//     found. Whatever changes a tenant's shapes, limits, running jobs or score ends in publish().
namespace espalier::coordinator {
namespace {

constexpr long long kSettleIntervalUs = 1'000'000;

long long micros(Milliseconds time) { return std::chrono::microseconds(time).count(); }

// A set that knows how many members are before one, in O(log n).
template <class Key>
using RankedSet = __gnu_pbds::tree<Key, __gnu_pbds::null_type, std::less<Key>, __gnu_pbds::rb_tree_tag,
                                   __gnu_pbds::tree_order_statistics_node_update>;

}  // namespace

struct WorkQueue::Tenant {
  TenantShare share;
  int running_jobs = 0;
  int admitted = 0;         // submitted, but not added yet
  RankedSet<Order> queued;  // jobs that have not begun
  std::map<Shape, std::set<Order>> ready;
  std::vector<std::pair<Shape, Candidate>> published;  // its entries in candidates_
};

WorkQueue::WorkQueue(SchedulingConfig config)
    : config_(config), shares_(micros(config.half_life), micros(config.horizon)) {}
WorkQueue::~WorkQueue() = default;

WorkQueue::Tenant& WorkQueue::tenant(const std::string& tenant_id) {
  auto& found = tenants_[tenant_id];
  if (!found) found = std::make_unique<Tenant>();
  return *found;
}

const WorkQueue::Tenant* WorkQueue::find_tenant(const std::string& tenant_id) const {
  const auto found = tenants_.find(tenant_id);
  return found == tenants_.end() ? nullptr : found->second.get();
}

void WorkQueue::set_share(const std::string& tenant_id, const TenantShare& share) {
  Tenant& of = tenant(tenant_id);
  if (of.share == share) return;
  of.share = share;
  shares_.set_weight(tenant_id, share.weight);
  publish(tenant_id);
}

TenantShare WorkQueue::share_of(const std::string& tenant_id) const {
  const Tenant* found = find_tenant(tenant_id);
  return found ? found->share : TenantShare{};
}

WorkQueue::Order WorkQueue::order_of(const Job& job, const WaitingTask& task) const {
  const int steps = job.job.priority == v1::PRIORITY_HIGH ? 2 : job.job.priority == v1::PRIORITY_LOW ? 0 : 1;
  return {job.job.submit_us - steps * micros(config_.priority_step), job.job.number, task.position, task.id};
}

void WorkQueue::add_job(const QueuedJob& job) {
  const auto [found, added] = jobs_.emplace(job.id, Job{job, {}});
  if (!added) {
    if (job.begun) begin_job(job.id);
    return;
  }
  Tenant& of = tenant(job.tenant_id);
  if (job.begun)
    ++of.running_jobs;
  else
    of.queued.insert(order_of(found->second, {}));
}

void WorkQueue::begin_job(const std::string& job_id) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end() || found->second.job.begun) return;
  Job& job = found->second;
  Tenant& of = tenant(job.job.tenant_id);
  of.queued.erase(order_of(job, {}));
  ++of.running_jobs;
  job.job.begun = true;
  for (const std::string& id : job.tasks) {
    Task& task = tasks_.at(id);
    unindex(task);
    task.shape.fresh = false;
    index(task);
  }
  publish(job.job.tenant_id);
}

void WorkQueue::end_job(const std::string& job_id) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return;
  const std::vector<std::string> left(found->second.tasks.begin(), found->second.tasks.end());
  for (const std::string& id : left) remove(id);
  Tenant& of = tenant(found->second.job.tenant_id);
  if (found->second.job.begun)
    --of.running_jobs;
  else
    of.queued.erase(order_of(found->second, {}));
  const std::string tenant_id = found->second.job.tenant_id;
  jobs_.erase(found);
  publish(tenant_id);
}

std::string WorkQueue::tenant_of(const std::string& job_id) const {
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() ? "" : found->second.job.tenant_id;
}

void WorkQueue::clear() {
  std::vector<std::string> ids;
  for (const auto& [id, job] : jobs_) ids.push_back(id);
  for (const std::string& id : ids) end_job(id);
}

void WorkQueue::put(const WaitingTask& waiting) {
  const auto job = jobs_.find(waiting.job_id);
  if (job == jobs_.end()) return;
  remove(waiting.id);
  Task& task = tasks_[waiting.id];
  task.task = waiting;
  task.tenant_id = job->second.job.tenant_id;
  task.order = order_of(job->second, waiting);
  task.shape = {waiting.denoiser, waiting.ranks, /*shrinks=*/false, /*fresh=*/!job->second.job.begun};
  job->second.tasks.insert(waiting.id);
  if (waiting.not_before_us > 0) {
    set_timer(task, waiting.not_before_us);
  } else {
    task.ready = true;
    index(task);
  }
}

void WorkQueue::remove(const std::string& task_id) {
  const auto found = tasks_.find(task_id);
  if (found == tasks_.end()) return;
  Task& task = found->second;
  unindex(task);
  set_timer(task, 0);
  if (const auto job = jobs_.find(task.task.job_id); job != jobs_.end()) job->second.tasks.erase(task_id);
  if (reserved_ == task_id) reserved_.clear();
  tasks_.erase(found);
}

void WorkQueue::index(Task& task) {
  if (!task.ready) return;
  auto& ready = tenant(task.tenant_id).ready[task.shape];
  ready.insert(task.order);
  if (ready.size() == 1) publish(task.tenant_id);
}

void WorkQueue::unindex(Task& task) {
  if (!task.ready) return;
  Tenant& of = tenant(task.tenant_id);
  const auto found = of.ready.find(task.shape);
  if (found == of.ready.end()) return;
  found->second.erase(task.order);
  if (!found->second.empty()) return;
  of.ready.erase(found);
  publish(task.tenant_id);
}

void WorkQueue::set_timer(Task& task, long long at_us) {
  if (task.timer_us > 0) timers_.erase({task.timer_us, task.task.id});
  task.timer_us = at_us;
  if (at_us > 0) timers_.emplace(at_us, task.task.id);
}

// A timer rings first when a task's earliest start has come. Then it is set once more for a gang that was interrupted:
// when that rings the gang has waited long enough for its full size, and moves to the shape that takes what is free.
void WorkQueue::run_timers(long long now_us) {
  while (!timers_.empty() && timers_.begin()->first <= now_us) {
    Task& task = tasks_.at(timers_.begin()->second);
    const long long at_us = task.timer_us;
    set_timer(task, 0);
    unindex(task);
    if (task.ready)
      task.shape.shrinks = true;
    else if (task.task.interrupted && task.task.ranks > 1)
      set_timer(task, at_us + std::max(micros(config_.shrink_after), 1LL));
    task.ready = true;
    index(task);
  }
}

int WorkQueue::ranks_left(const std::string& tenant_id, const Tenant& of) const {
  return of.share.max_ranks == 0 ? INT32_MAX : of.share.max_ranks - shares_.running(tenant_id);
}

bool WorkQueue::allowed(const std::string& tenant_id, const Tenant& of, const Shape& shape) const {
  if (shape.fresh && of.share.max_running_jobs > 0 && of.running_jobs >= of.share.max_running_jobs) return false;
  return (shape.shrinks ? 1 : shape.ranks) <= ranks_left(tenant_id, of);
}

void WorkQueue::publish(const std::string& tenant_id) {
  Tenant& of = tenant(tenant_id);
  for (const auto& [shape, candidate] : of.published) {
    const auto found = candidates_.find(shape);
    found->second.erase(candidate);
    if (found->second.empty()) candidates_.erase(found);
  }
  of.published.clear();
  const Candidate candidate{shares_.score(tenant_id), tenant_id};
  for (const auto& [shape, ready] : of.ready) {
    if (!allowed(tenant_id, of, shape)) continue;
    candidates_[shape].insert(candidate);
    of.published.emplace_back(shape, candidate);
  }
}

void WorkQueue::settle(long long now_us) {
  if (now_us - settled_us_ < kSettleIntervalUs) return;
  settled_us_ = now_us;
  for (const std::string& tenant_id : shares_.settle(now_us)) publish(tenant_id);
}

void WorkQueue::started(const std::string& tenant_id, int ranks, long long now_us) {
  shares_.change_running(tenant_id, ranks, now_us);
  publish(tenant_id);
}

void WorkQueue::ended(const std::string& tenant_id, int ranks, long long now_us) {
  shares_.change_running(tenant_id, -ranks, now_us);
  publish(tenant_id);
}

void WorkQueue::add_usage(const std::string& tenant_id, int ranks, long long from_us, long long to_us) {
  shares_.add(tenant_id, ranks, from_us, to_us);
  publish(tenant_id);
}

// `respect_hold`: without the slots that are held for a gang.
bool WorkQueue::fits(const Shape& shape, const Capacity& capacity, bool respect_hold) const {
  const int needed = shape.shrinks ? 1 : shape.ranks;
  const bool held = respect_hold && !reserved_.empty();
  const int free =
      held ? capacity.free_beside(shape.denoiser, tasks_.at(reserved_).shape.denoiser) : capacity.free(shape.denoiser);
  return needed <= free;
}

// The first in fair order of those that fit: now, or if all slots were free.
std::optional<WorkQueue::Pick> WorkQueue::first(const Capacity& capacity, bool now) const {
  std::optional<Pick> best;
  for (const auto& [shape, tenants] : candidates_) {
    const int needed = shape.shrinks ? 1 : shape.ranks;
    if (now ? !fits(shape, capacity, /*respect_hold=*/true) : needed > capacity.total(shape.denoiser)) continue;
    const Candidate& candidate = *tenants.begin();
    const Order& order = *tenants_.at(candidate.tenant_id)->ready.at(shape).begin();
    if (best && std::tie(best->candidate, best->order) <= std::tie(candidate, order)) continue;
    best = Pick{&shape, candidate, order};
  }
  return best;
}

WorkQueue::Choice WorkQueue::choice_of(const Task& task, const Capacity& capacity) const {
  const bool beside = !reserved_.empty() && reserved_ != task.task.id;
  Choice choice{task.task, task.task.ranks, std::nullopt};
  if (beside) choice.held = tasks_.at(reserved_).shape.denoiser;
  if (!task.shape.shrinks) return choice;
  const int free =
      beside ? capacity.free_beside(task.shape.denoiser, *choice.held) : capacity.free(task.shape.denoiser);
  choice.ranks = std::min({task.task.ranks, free, ranks_left(task.tenant_id, *tenants_.at(task.tenant_id))});
  return choice;
}

std::optional<WorkQueue::Choice> WorkQueue::reserved_choice(const Capacity& capacity) {
  if (reserved_.empty()) return std::nullopt;
  const Task& task = tasks_.at(reserved_);
  const bool possible = task.ready && allowed(task.tenant_id, *tenants_.at(task.tenant_id), task.shape) &&
                        (task.shape.shrinks ? 1 : task.shape.ranks) <= capacity.total(task.shape.denoiser);
  if (!possible) {
    reserved_.clear();  // its workers have gone, or the tenant's limit came down: nothing is held for nothing
    return std::nullopt;
  }
  if (!fits(task.shape, capacity, /*respect_hold=*/false)) return std::nullopt;
  return choice_of(task, capacity);
}

// The gang that slots are held for goes first, as soon as they suffice. Else the one whose turn it is, if it is a gang
// that does not fit, begins to lose patience, while what comes after it and fits may pass.
std::optional<WorkQueue::Choice> WorkQueue::next(const Capacity& capacity, long long now_us) {
  run_timers(now_us);
  settle(now_us);
  if (auto choice = reserved_choice(capacity)) return choice;
  if (const auto head = first(capacity, /*now=*/false);
      head && !head->shape->shrinks && head->shape->ranks > 1 && !fits(*head->shape, capacity, false)) {
    note_blocked(*head, now_us);
  }
  const auto pick = first(capacity, /*now=*/true);
  if (!pick) return std::nullopt;
  return choice_of(tasks_.at(pick->order.task_id), capacity);
}

void WorkQueue::note_blocked(const Pick& head, long long now_us) {
  Task& task = tasks_.at(head.order.task_id);
  if (task.blocked_us == 0) {
    task.blocked_us = now_us;
    newly_blocked_.push_back({task.task, /*reserved=*/false});
  }
  if (!reserved_.empty() || now_us - task.blocked_us < micros(config_.gang_patience)) return;
  reserved_ = task.task.id;
  newly_blocked_.push_back({task.task, /*reserved=*/true});
}

std::vector<WorkQueue::Blocked> WorkQueue::take_blocked() { return std::exchange(newly_blocked_, {}); }

int WorkQueue::queued_jobs(const std::string& tenant_id) const {
  const Tenant* found = find_tenant(tenant_id);
  return found ? static_cast<int>(found->queued.size()) : 0;
}

int WorkQueue::position(const std::string& job_id) const {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end() || found->second.job.begun) return -1;
  const Tenant* of = find_tenant(found->second.job.tenant_id);
  return static_cast<int>(of->queued.order_of_key(order_of(found->second, {})));
}

bool WorkQueue::admit(const std::string& tenant_id) {
  Tenant& of = tenant(tenant_id);
  if (of.share.max_queued_jobs > 0 && queued_jobs(tenant_id) + of.admitted >= of.share.max_queued_jobs) return false;
  ++of.admitted;
  return true;
}

void WorkQueue::settle_admission(const std::string& tenant_id) { --tenant(tenant_id).admitted; }

std::string WorkQueue::reason(const std::string& job_id, const Capacity& capacity) const {
  const auto job = jobs_.find(job_id);
  if (job == jobs_.end() || job->second.tasks.empty()) return "";
  const Task& task = tasks_.at(*job->second.tasks.begin());
  const Tenant& of = *tenants_.at(task.tenant_id);
  const Shape& shape = task.shape;
  if (shape.fresh && of.share.max_running_jobs > 0 && of.running_jobs >= of.share.max_running_jobs) {
    return absl::StrCat("the tenant's limit of ", of.share.max_running_jobs, " running jobs");
  }
  if (!allowed(task.tenant_id, of, shape)) {
    return absl::StrCat("the tenant's limit of ", of.share.max_ranks, " ranks at the same time");
  }
  const int total = capacity.total(shape.denoiser);
  if (total == 0) return absl::StrCat("no attached worker trains ", denoiser_name(shape.denoiser));
  if (!shape.shrinks && shape.ranks > total) {
    return absl::StrCat("its gang of ", shape.ranks, ": the attached workers have ", total, " slots for it");
  }
  if (reserved_ == task.task.id) return absl::StrCat("slots, which are being held for its gang of ", shape.ranks);
  return "all workers are busy";
}

}  // namespace espalier::coordinator
