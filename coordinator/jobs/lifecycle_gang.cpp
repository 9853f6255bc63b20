#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"

// The members of a running attempt: how a gang comes together, and how its members leave one by one.
namespace espalier::coordinator {

long long Lifecycle::rendezvous_end() const { return now_us_ + std::chrono::microseconds(leases_.rendezvous).count(); }

Status Lifecycle::store_members(TaskRecord& task) {
  TaskRepository tasks(sql_);
  tasks.put_members(task);
  tasks.update(task);
  touch(task);
  return absl::OkStatus();
}

Status Lifecycle::rendezvous(TaskRecord& task, int port) {
  if (task.world_size < 2) return absl::InvalidArgumentError("it is of a task that runs alone");
  if (port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("rendezvous_ready.port: ", port, " is not in 1 to 65535"));
  }
  task.master_port = port;
  task.rendezvous_until_us = rendezvous_end();
  for (MemberRecord& member : task.members) member.state = std::max(member.state, MemberState::kAssigned);
  return store_members(task);
}

Status Lifecycle::joined(TaskRecord& task, int number) {
  for (MemberRecord& member : task.members) {
    if (member.member == number) member.state = MemberState::kJoined;
  }
  const bool all = std::all_of(task.members.begin(), task.members.end(),
                               [](const MemberRecord& member) { return member.state == MemberState::kJoined; });
  if (all) task.rendezvous_until_us = 0;
  return store_members(task);
}

Status Lifecycle::member_done(TaskRecord& task, int number) {
  if (number == 0) return absl::InvalidArgumentError("member 0 must tell the result");
  std::erase_if(task.members, [&](const MemberRecord& member) { return member.member == number; });
  return store_members(task);
}

Status Lifecycle::member_stopped(JobRecord& job, TaskRecord& task, int number) {
  std::erase_if(task.members, [&](const MemberRecord& member) { return member.member == number; });
  return task.members.empty() ? stopped(job, task) : store_members(task);
}

void Lifecycle::drop_reserved(TaskRecord& task) {
  std::erase_if(task.members, [](const MemberRecord& member) { return member.state == MemberState::kReserved; });
  (void)store_members(task);
}

}  // namespace espalier::coordinator
