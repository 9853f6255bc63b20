#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/e2e/extra_worker.h"
#include "tests/e2e/installation.h"
#include "tests/e2e/jobs.h"

// One training shared by two real workers.
namespace espalier::e2e {
namespace {

// 0 when there is no such process any more.
pid_t parent_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (pid_t parent = 0; word == "PPid:" && status >> parent) return parent;
  }
  return 0;
}

class GangTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
    dataset_ = reference_job()["preparation"]["dataset_id"];
    expected_ = adapter_digest(reference_job()["job_id"], "reference");
    extra_.emplace("extra-worker");
  }

  std::string dataset_, expected_;
  std::optional<ExtraWorker> extra_;
};

TEST_F(GangTest, TwoWorkersTrainTheAdapterOfOne) {
  const auto id = submitted(dataset_, {"--world-size", "2"});
  EXPECT_NE(installation().find_program("espalier-train", "--member" + std::string(1, '\0') + "1"), 0);
  const auto job = finish(id);
  ASSERT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(job["denoisers"][0]["world_size"], 2);
  EXPECT_EQ(adapter_digest(id, "gang"), expected_);
}

TEST_F(GangTest, SurvivesTheLossOfAMembersWorker) {
  const auto id = submitted(dataset_, {"--world-size", "2"});
  const auto member = installation().find_program("espalier-train", "--member" + std::string(1, '\0') + "1");
  ASSERT_NE(member, 0);
  const auto worker = parent_of(member);
  ASSERT_GT(worker, 1);
  ASSERT_EQ(::kill(worker, SIGKILL), 0);
  const auto job = finish(id);
  ASSERT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(adapter_digest(id, "gang-after-loss"), expected_);
  EXPECT_EQ(job["cost"]["total_nanos"], job["estimate"]["total_nanos"]);
}

}  // namespace
}  // namespace espalier::e2e
