#include "worker/task_table.h"

#include <gtest/gtest.h>

#include <condition_variable>

namespace espalier::worker {
namespace {

v1::AssignTask task(const std::string& id, uint64_t token, int member = 0) {
  v1::AssignTask result;
  result.mutable_lease()->set_task_id(id);
  result.mutable_lease()->set_fencing_token(token);
  result.mutable_lease()->set_member(member);
  return result;
}

// A task that tells its slot, runs until it is stopped, then reports its end: cancelled when no other attempt will
// come.
void run_until_stopped(const v1::AssignTask& task, const Report& report, const TaskControl& control) {
  v1::WorkerMessage started;
  started.mutable_task_started()->set_resumed_at_step(control.slot);
  report(std::move(started));
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait(lock, control.stop, [] { return false; });
  v1::WorkerMessage message;
  *message.mutable_task_finished()->mutable_lease() = task.lease();
  if (control.over) message.mutable_task_finished()->mutable_cancelled();
  report(std::move(message));
}

// The next report within ten seconds.
std::optional<v1::WorkerMessage> next(Outbox& outbox) {
  return outbox.next(std::chrono::steady_clock::now() + std::chrono::seconds(10));
}

// The next end of a task.
std::optional<v1::WorkerMessage> next_end(Outbox& outbox) {
  auto message = next(outbox);
  while (message && !message->has_task_finished()) message = next(outbox);
  return message;
}

// Of the next task that starts; -1: none does.
int next_slot(Outbox& outbox) {
  const auto message = next(outbox);
  return message && message->has_task_started() ? message->task_started().resumed_at_step() : -1;
}

v1::CancelTask cancel(const v1::AssignTask& task, v1::CancelReason reason) {
  v1::CancelTask result;
  *result.mutable_lease() = task.lease();
  result.set_reason(reason);
  return result;
}

TEST(TaskTable, NamesATaskUntilItsResultIsAcknowledged) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  const auto one = task("one", 1);
  table.assign(one);
  EXPECT_EQ(table.leases(0).size(), 1u);
  table.cancel(cancel(one, v1::CANCEL_REASON_BY_USER));
  const auto finished = next_end(outbox);
  ASSERT_TRUE(finished);
  EXPECT_TRUE(finished->task_finished().has_cancelled()) << "the task must know that it is over";
  EXPECT_EQ(table.leases(0).size(), 1u);
  EXPECT_TRUE(table.leases(finished->seq()).empty());
}

TEST(TaskTable, ALostLeaseEndsInSilence) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  const auto one = task("one", 1);
  table.assign(one);
  ASSERT_EQ(next_slot(outbox), 0);
  table.cancel(cancel(one, v1::CANCEL_REASON_LEASE_LOST));
  EXPECT_TRUE(table.leases(0).empty());
  table.stop_all();
  EXPECT_FALSE(outbox.next(std::chrono::steady_clock::now() + std::chrono::milliseconds(100)));
}

TEST(TaskTable, ANewerLeaseReplacesTheOldAttempt) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  table.assign(task("one", 1));
  table.assign(task("one", 2));
  table.assign(task("one", 1));  // late repeat
  const auto leases = table.leases(0);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].fencing_token(), 2u);
  table.cancel(cancel(task("one", 2), v1::CANCEL_REASON_BY_USER));
  const auto finished = next_end(outbox);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->task_finished().lease().fencing_token(), 2u) << "the old attempt must not have reported";
}

TEST(TaskTable, AnOldCancelDoesNotTouchANewerLease) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  table.assign(task("one", 2));
  table.cancel(cancel(task("one", 1), v1::CANCEL_REASON_LEASE_LOST));
  EXPECT_EQ(table.leases(0).size(), 1u);
}

TEST(TaskTable, RunsMembersOfOneGangSideBySide) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  table.assign(task("gang", 1, 0));
  EXPECT_EQ(next_slot(outbox), 0);
  table.assign(task("gang", 1, 2));
  EXPECT_EQ(next_slot(outbox), 1);
  const auto leases = table.leases(0);
  ASSERT_EQ(leases.size(), 2u);
  EXPECT_EQ(leases[0].member(), 0);
  EXPECT_EQ(leases[1].member(), 2);
  table.cancel(cancel(task("gang", 1, 2), v1::CANCEL_REASON_BY_USER));
  const auto finished = next_end(outbox);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->task_finished().lease().member(), 2);
  table.assign(task("other", 1));
  EXPECT_EQ(next_slot(outbox), 1) << "the slot of the ended member is free";
}

TEST(TaskTable, ANewAttemptEndsEveryMemberOfTheOldOne) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  table.assign(task("gang", 1, 0));
  table.assign(task("gang", 1, 1));
  EXPECT_GE(next_slot(outbox), 0);
  EXPECT_GE(next_slot(outbox), 0);
  table.assign(task("gang", 2, 1));
  EXPECT_GE(next_slot(outbox), 0);
  const auto leases = table.leases(0);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].fencing_token(), 2u);
  table.cancel(cancel(task("gang", 2, 1), v1::CANCEL_REASON_BY_USER));
  const auto finished = next_end(outbox);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->task_finished().lease().fencing_token(), 2u) << "the old attempt must not have reported";
}

}  // namespace
}  // namespace espalier::worker
