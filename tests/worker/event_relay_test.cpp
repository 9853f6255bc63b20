#include "worker/event_relay.h"

#include <gtest/gtest.h>

namespace espalier::worker {
namespace {

class EventRelayTest : public testing::Test {
 protected:
  EventRelayTest() {
    task_.mutable_lease()->set_task_id("task_x");
    task_.mutable_lease()->set_member(1);
    task_.mutable_train();
  }
  v1::AssignTask task_;
  std::vector<v1::WorkerMessage> reports_;
  EventRelay relay_{task_, [this](v1::WorkerMessage message) { reports_.push_back(std::move(message)); }, nullptr};
};

TEST_F(EventRelayTest, TellsWhereMemberZeroListens) {
  relay_.on_event(R"({"event":"rendezvous","port":4711})");
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].rendezvous_ready().port(), 4711);
  EXPECT_EQ(reports_[0].rendezvous_ready().lease().task_id(), "task_x");
}

TEST_F(EventRelayTest, SpeaksForItsMember) {
  relay_.on_event(R"({"event":"started","task":"train","total":100,"resumed_at":40})");
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].task_started().resumed_at_step(), 40);
  EXPECT_EQ(reports_[0].task_started().lease().member(), 1);
}

TEST_F(EventRelayTest, TellsHowFarAnEvaluationIs) {
  relay_.on_event(R"({"event":"evaluation","candidate":"base","done":3,"total":12})");
  ASSERT_EQ(reports_.size(), 1u);
  const auto& progress = reports_[0].evaluation_progress().progress();
  EXPECT_EQ(progress.candidate(), "base");
  EXPECT_EQ(progress.done(), 3);
  EXPECT_EQ(progress.total(), 12);
}

TEST_F(EventRelayTest, ACheckpointOfAMemberThatStoresNoneIsIgnored) {
  relay_.on_event(R"({"event":"checkpoint","step":7,"path":"/etc/passwd"})");
  relay_.flush();
  EXPECT_TRUE(reports_.empty());
}

TEST_F(EventRelayTest, LinesOfAnyShapeDoNoHarm) {
  for (const char* line : {"", "{", "[]", "7", "{}", R"({"event":7})", R"({"event":"step","step":"x"})",
                           R"({"event":"rendezvous","port":"x"})", "\xff\xfe"}) {
    relay_.on_event(line);
  }
  relay_.on_log("\xff not utf-8");
  relay_.flush();
  for (const auto& report : reports_) EXPECT_TRUE(report.IsInitialized());
}

TEST_F(EventRelayTest, GathersStepsUntilFlushed) {
  relay_.on_event(R"({"event":"step","step":1,"total":9,"loss":0.5,"lr":0.1,"grad_norm":2,"seconds_per_step":1})");
  relay_.on_event(R"({"event":"step","step":2,"total":9,"loss":0.4,"lr":0.1,"grad_norm":2,"seconds_per_step":1})");
  EXPECT_TRUE(reports_.empty());
  relay_.flush();
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].training_progress().points_size(), 2);
  EXPECT_EQ(reports_[0].training_progress().total_steps(), 9);
}

}  // namespace
}  // namespace espalier::worker
