#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_split.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "tests/e2e/installation.h"
#include "tests/e2e/jobs.h"

// What a person can see of a training afterwards, and removing it.
namespace espalier::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Observe : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
  }

  static std::vector<int64_t> all_steps() {
    std::vector<int64_t> steps(100);
    std::iota(steps.begin(), steps.end(), 1);
    return steps;
  }

  // The losses of the job's metrics.jsonl by step; checks that every step is there once, in order.
  static std::map<int64_t, double> logged_losses(const std::string& job_id, const std::string& name) {
    const auto folder = installation().folder() / name;
    const auto download = installation().espalier({"download", job_id, "--logs", "-o", folder.string()});
    EXPECT_EQ(download.code, 0) << download.text();
    EXPECT_TRUE(fs::exists(folder / "sparse_structure.events.out.tfevents.0.espalier"));
    const auto text = read_file(folder / "sparse_structure.metrics.jsonl");
    EXPECT_TRUE(text.ok()) << text.status();
    std::vector<int64_t> steps;
    std::map<int64_t, double> losses;
    for (const auto& line : absl::StrSplit(text.ok() ? *text : "", '\n', absl::SkipEmpty())) {
      const json record = json::parse(line);
      if (!record.contains("loss")) continue;
      steps.push_back(record["step"]);
      losses[record["step"]] = record["loss"];
    }
    EXPECT_EQ(steps, all_steps());
    return losses;
  }
};

TEST_F(Observe, TheCourseOfATrainingCanBeReadAndFetched) {
  const std::string id = reference_job()["job_id"];
  const auto shown = installation().espalier({"metrics", id});
  ASSERT_EQ(shown.code, 0) << shown.text();
  EXPECT_THAT(shown.text(), testing::AllOf(HasSubstr("steps 1 to 100"), HasSubstr("loss"), HasSubstr("█")));

  const auto losses = logged_losses(id, "logs");
  const auto table = installation().espalier({"metrics", id, "--denoiser", "sparse_structure", "--csv"});
  ASSERT_EQ(table.code, 0) << table.text();
  ASSERT_EQ(table.lines.size(), 101u);
  EXPECT_EQ(table.lines[0], "step,loss,learning_rate,grad_norm,seconds_per_step");
  for (size_t i = 1; i < table.lines.size(); ++i) {
    const std::vector<std::string> row = absl::StrSplit(table.lines[i], ',');
    const auto step = std::stoll(row.at(0));
    EXPECT_NEAR(std::stod(row.at(1)), losses.at(step), 1e-6) << table.lines[i];
  }
  const auto thinned = installation().espalier({"--json", "metrics", id, "--max-points", "10"});
  EXPECT_LE(thinned.lines.size(), 10u);
  EXPECT_EQ(json::parse(thinned.lines.back())["step"], 100);
  EXPECT_NE(installation().espalier({"metrics", id, "--denoiser", "texture"}).code, 0);
}

TEST_F(Observe, AKilledTrainingsLogsHaveEveryStepOnceAndGoWithTheJob) {
  const std::string id = submitted(reference_job()["preparation"]["dataset_id"]);
  ASSERT_TRUE(installation().kill_program("espalier-train"));
  ASSERT_EQ(finish(id)["state"], "JOB_STATE_SUCCEEDED");
  EXPECT_EQ(logged_losses(id, "killed-logs"), logged_losses(reference_job()["job_id"], "reference-logs"));

  const auto deleted = installation().espalier({"delete", "job", id});
  EXPECT_EQ(deleted.code, 0) << deleted.text();
  EXPECT_THAT(installation().espalier({"job", id}).text(), HasSubstr("no job " + id));
  EXPECT_EQ(installation().espalier({"metrics", id}).code, kExitInvalid);
  EXPECT_EQ(installation().espalier({"delete", "job", id}).code, kExitInvalid);
}

}  // namespace
}  // namespace espalier::e2e
