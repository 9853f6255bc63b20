#include "coordinator/scheduling/roster.h"

#include <algorithm>

namespace espalier::coordinator {
namespace {

template <class Members>
auto* member_in(Members& members, int number) {
  const auto found =
      std::find_if(members.begin(), members.end(), [number](const auto& member) { return member.number == number; });
  return found == members.end() ? nullptr : &*found;
}

}  // namespace

v1::TaskLease lease_of(const Roster::Attempt& attempt, int member) {
  v1::TaskLease lease;
  lease.set_task_id(attempt.task_id);
  lease.set_attempt(attempt.number);
  lease.set_fencing_token(static_cast<uint64_t>(attempt.fencing_token));
  lease.set_member(member);
  return lease;
}

void Roster::let_go(const Attempt& attempt) {
  for (const Member& member : attempt.members) {
    const auto held = by_worker_.find(member.worker_id);
    held->second.erase({attempt.task_id, member.number});
    if (held->second.empty()) by_worker_.erase(held);
  }
}

void Roster::put(const TaskRecord& task, bool cancelling, long long lease_until_us) {
  Attempt next{
      task.id, task.job_id, task.tenant_id, task.attempt, task.fencing_token, cancelling, task.rendezvous_until_us, {}};
  Attempt& now = attempts_[task.id];
  const bool same = now.fencing_token == task.fencing_token;
  for (const MemberRecord& record : task.members) {
    Member member{record.member, record.worker_id, record.state, lease_until_us};
    const Member* before = same ? member_in(now.members, record.member) : nullptr;
    if (before) member.lease_until_us = before->lease_until_us;
    next.members.push_back(member);
  }
  let_go(now);
  now = std::move(next);
  for (const Member& member : now.members) by_worker_[member.worker_id].insert({now.task_id, member.number});
}

std::optional<Roster::Attempt> Roster::remove(const std::string& task_id) {
  const auto found = attempts_.find(task_id);
  if (found == attempts_.end()) return std::nullopt;
  Attempt gone = std::move(found->second);
  attempts_.erase(found);
  let_go(gone);
  return gone;
}

std::vector<std::string> Roster::tasks() const {
  std::vector<std::string> ids;
  for (const auto& [id, attempt] : attempts_) ids.push_back(id);
  return ids;
}

const Roster::Attempt* Roster::find(const std::string& task_id) const {
  const auto found = attempts_.find(task_id);
  return found == attempts_.end() ? nullptr : &found->second;
}

const Roster::Attempt* Roster::current(const v1::TaskLease& lease) const {
  const Attempt* attempt = find(lease.task_id());
  if (!attempt || attempt->number != lease.attempt() ||
      static_cast<uint64_t>(attempt->fencing_token) != lease.fencing_token()) {
    return nullptr;
  }
  const Member* member = member_in(attempt->members, lease.member());
  return member && member->state != MemberState::kReserved ? attempt : nullptr;
}

void Roster::renew(const std::string& task_id, int number, long long lease_until_us) {
  const auto found = attempts_.find(task_id);
  if (found == attempts_.end()) return;
  if (Member* member = member_in(found->second.members, number)) member->lease_until_us = lease_until_us;
}

const std::set<Roster::Slot>& Roster::held_by(const std::string& worker_id) const {
  static const std::set<Slot> kNone;
  const auto found = by_worker_.find(worker_id);
  return found == by_worker_.end() ? kNone : found->second;
}

MemberState Roster::state_of(const Slot& slot) const {
  return member_in(attempts_.at(slot.first).members, slot.second)->state;
}

std::vector<Roster::Overdue> Roster::overdue(long long now_us) const {
  std::vector<Overdue> all;
  for (const auto& [task_id, attempt] : attempts_) {
    Overdue late{attempt, {}};
    for (const Member& member : attempt.members) {
      if (member.lease_until_us < now_us) late.expired.push_back(member);
    }
    const bool unmet = attempt.rendezvous_until_us > 0 && attempt.rendezvous_until_us < now_us && !attempt.cancelling;
    if (!late.expired.empty() || unmet) all.push_back(std::move(late));
  }
  return all;
}

}  // namespace espalier::coordinator
