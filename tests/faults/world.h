#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "rpc/credentials.h"
#include "tests/faults/plan.h"
#include "tests/faults/timeline.h"

namespace espalier::faults {

// What was done to the product, summed over scenarios.
struct Counters {
  std::atomic<int> scenarios{0}, coordinator_kills{0}, worker_deaths{0}, member_deaths{0}, child_failures{0},
      dropped_streams{0}, zombies{0}, duplicated_reports{0}, swapped_reports{0}, cut_uploads{0}, full_disks{0},
      cancels{0}, repeated_submits{0};
};

// Where the members of a gang meet. In the real programs the collectives tell a member that another one is gone; here
// the room does. Thread-safe.
class GangRooms {
 public:
  void join(uint64_t fencing_token, int member) {
    const std::lock_guard lock(mutex_);
    rooms_[fencing_token].members.insert(member);
  }
  bool complete(uint64_t fencing_token, int world_size) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(rooms_[fencing_token].members.size()) == world_size;
  }
  void finish(uint64_t fencing_token) { set(fencing_token, &Room::finished); }
  bool finished(uint64_t fencing_token) { return get(fencing_token, &Room::finished); }
  void break_up(uint64_t fencing_token) { set(fencing_token, &Room::broken); }
  bool broken(uint64_t fencing_token) { return get(fencing_token, &Room::broken); }

 private:
  struct Room {
    std::set<int> members;
    bool finished = false, broken = false;
  };
  void set(uint64_t fencing_token, bool Room::*flag) {
    const std::lock_guard lock(mutex_);
    rooms_[fencing_token].*flag = true;
  }
  bool get(uint64_t fencing_token, bool Room::*flag) {
    const std::lock_guard lock(mutex_);
    return rooms_[fencing_token].*flag;
  }

  std::mutex mutex_;
  std::map<uint64_t, Room> rooms_;  // by fencing token
};

// What all actors of one scenario share. Thread-safe.
class World {
 public:
  World(const Plan& the_plan, std::string coordinator, Counters& sums)
      : plan(the_plan), address(std::move(coordinator)), counters(sums), spare_failures_(the_plan.spare_failures) {}

  // The product broke a promise. `kind` is one of the words of the summary: lost, wrong, mischarged, unbalanced.
  void violation(const std::string& kind, const std::string& what) {
    timeline.add("VIOLATION ", kind, ": ", what);
    const std::lock_guard lock(mutex_);
    ++violations_[kind];
  }
  std::map<std::string, int> violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
  }

  // Takes one of the failures that may happen by chance.
  bool take_failure() { return spare_failures_.fetch_sub(1) > 0; }

  const Plan& plan;
  const std::string address;
  Counters& counters;
  Timeline timeline;
  GangRooms gangs;
  Credentials operator_key, worker_key;
  std::vector<Credentials> tenant_keys;  // by tenant

 private:
  std::atomic<int> spare_failures_;
  mutable std::mutex mutex_;  // guards violations_
  std::map<std::string, int> violations_;
};

}  // namespace espalier::faults
