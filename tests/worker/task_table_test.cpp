#include "worker/task_table.h"

#include <gtest/gtest.h>

#include <condition_variable>

namespace espalier::worker {
namespace {

v1::AssignTask task(const std::string& id, uint64_t token) {
  v1::AssignTask result;
  result.mutable_lease()->set_task_id(id);
  result.mutable_lease()->set_fencing_token(token);
  return result;
}

// A task that runs until it is stopped, then reports its end.
void run_until_stopped(const v1::AssignTask& task, const Report& report, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait(lock, stop, [] { return false; });
  v1::WorkerMessage message;
  *message.mutable_task_finished()->mutable_lease() = task.lease();
  message.mutable_task_finished()->mutable_cancelled();
  report(std::move(message));
}

// The next report within ten seconds.
std::optional<v1::WorkerMessage> next(Outbox& outbox) {
  return outbox.next(std::chrono::steady_clock::now() + std::chrono::seconds(10));
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
  const auto finished = next(outbox);
  ASSERT_TRUE(finished && finished->has_task_finished());
  EXPECT_EQ(table.leases(0).size(), 1u);
  EXPECT_TRUE(table.leases(finished->seq()).empty());
}

TEST(TaskTable, ALostLeaseEndsInSilence) {
  Outbox outbox;
  TaskTable table(run_until_stopped, outbox);
  const auto one = task("one", 1);
  table.assign(one);
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
  const auto finished = next(outbox);
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

}  // namespace
}  // namespace espalier::worker
