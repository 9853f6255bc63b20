#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/jobs/records.h"

namespace espalier::coordinator {

// Running attempts and which worker holds which of their slots, with the ends of the leases. Equal to the rows of
// running tasks and members in the database, but for the lease ends, which are only here: a heartbeat writes nothing,
// and after a restart every lease begins anew. Not thread-safe.
class Roster {
 public:
  struct Member {
    int number = 0;
    std::string worker_id;
    MemberState state = MemberState::kAssigned;
    long long lease_until_us = 0;
  };
  struct Attempt {
    std::string task_id;
    std::string job_id;
    std::string tenant_id;
    int number = 0;
    long long fencing_token = 0;
    bool cancelling = false;  // its job is being cancelled
    long long rendezvous_until_us = 0;
    std::vector<Member> members;  // that have not ended
  };

  // Takes over a running task; members that are new hold their slot until `lease_until_us`.
  void put(const TaskRecord& task, bool cancelling, long long lease_until_us);
  // The attempt as it was, when there was one.
  std::optional<Attempt> remove(const std::string& task_id);
  std::vector<std::string> tasks() const;

  const Attempt* find(const std::string& task_id) const;
  // When the lease is current and its member is at work; null otherwise. Pointers are good until the next change.
  const Attempt* current(const v1::TaskLease& lease) const;
  void renew(const std::string& task_id, int member, long long lease_until_us);

  // Task and member.
  using Slot = std::pair<std::string, int>;
  const std::set<Slot>& held_by(const std::string& worker_id) const;
  MemberState state_of(const Slot& slot) const;

  struct Overdue {
    Attempt attempt;
    std::vector<Member> expired;  // members whose lease is over; none: the rendezvous took too long
  };
  std::vector<Overdue> overdue(long long now_us) const;

 private:
  void let_go(const Attempt& attempt);

  std::map<std::string, Attempt> attempts_;  // by task
  std::map<std::string, std::set<Slot>> by_worker_;
};

v1::TaskLease lease_of(const Roster::Attempt& attempt, int member);

}  // namespace espalier::coordinator
