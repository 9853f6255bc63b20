#include "worker/outbox.h"

#include <gtest/gtest.h>

namespace espalier::worker {
namespace {

v1::WorkerMessage message(int step) {
  v1::WorkerMessage result;
  result.mutable_checkpoint_saved()->set_step(step);
  return result;
}

std::vector<uint64_t> drain(Outbox& outbox) {
  std::vector<uint64_t> seqs;
  while (auto next = outbox.next(std::chrono::steady_clock::now())) seqs.push_back(next->seq());
  return seqs;
}

TEST(Outbox, SendsInOrderAndOnce) {
  Outbox outbox;
  for (int i = 0; i < 3; ++i) outbox.push(message(i));
  EXPECT_EQ(drain(outbox), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_TRUE(drain(outbox).empty());
  EXPECT_FALSE(outbox.empty()) << "nothing is acknowledged yet";
}

TEST(Outbox, RepeatsWhatWasNotAcknowledgedAfterAReconnect) {
  Outbox outbox;
  for (int i = 0; i < 4; ++i) outbox.push(message(i));
  drain(outbox);
  outbox.acknowledge(1);
  outbox.rewind(2);
  EXPECT_EQ(drain(outbox), (std::vector<uint64_t>{3, 4}));
  outbox.acknowledge(4);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.push(message(9)), 5u) << "numbers go on";
}

TEST(Outbox, AnAcknowledgementWhileSendingSkipsNothing) {
  Outbox outbox;
  for (int i = 0; i < 3; ++i) outbox.push(message(i));
  EXPECT_EQ(outbox.next(std::chrono::steady_clock::now())->seq(), 1u);
  outbox.acknowledge(1);
  EXPECT_EQ(drain(outbox), (std::vector<uint64_t>{2, 3}));
}

TEST(Outbox, DropsOnlyLogsWhenTheCoordinatorStaysAway) {
  Outbox outbox;
  v1::WorkerMessage logs;
  logs.mutable_logs();
  while (outbox.push(logs) != 0) {
  }
  EXPECT_NE(outbox.push(message(1)), 0u);
}

}  // namespace
}  // namespace espalier::worker
