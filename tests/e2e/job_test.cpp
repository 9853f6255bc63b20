#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "common/philox.h"
#include "common/sha256.h"
#include "tests/e2e/installation.h"
#include "tests/e2e/jobs.h"

namespace espalier::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class JobTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(JobTest, GoesFromAssetsToAnAdapterAndAShape) {
  const json& job = reference_job();
  ASSERT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(job["preparation"]["objects_done"], 2);
  EXPECT_EQ(job["denoisers"][0]["step"], 100);
  EXPECT_EQ(job["cost"]["total_nanos"], job["estimate"]["total_nanos"]);

  const auto folder = installation().folder() / "result";
  const auto download = installation().espalier({"download", job["job_id"], "-o", folder.string()});
  ASSERT_EQ(download.code, 0) << download.text();
  for (const std::string adapter : {"", ":1", ":0"}) {
    std::vector<std::string> arguments = {
        "generate", reference_picture().string(), "--seed", "1", "-o", (folder / ("out" + adapter + ".glb")).string()};
    if (!adapter.empty()) {
      arguments.insert(arguments.end(), {"--adapter", (folder / "sparse_structure.safetensors").string() + adapter});
    }
    const auto output = installation().espalier(arguments);
    ASSERT_EQ(output.code, 0) << output.text();
  }
  const auto digest = [&](const char* name) { return *sha256_hex_of_file(folder / name); };
  EXPECT_NE(digest("out.glb"), digest("out:1.glb")) << "the adapter changes nothing";
  EXPECT_EQ(digest("out.glb"), digest("out:0.glb")) << "at strength 0 it must be the base";
  EXPECT_EQ(read_file(folder / "out.glb")->substr(0, 4), "glTF");
}

TEST_F(JobTest, APreparedDatasetIsNotPreparedAgain) {
  const auto dataset = reference_job()["preparation"]["dataset_id"].get<std::string>();
  const auto job = finish(json::parse(installation().espalier_json(submit(dataset)))["job_id"]);
  EXPECT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_TRUE(job["preparation"]["reused"]);
  EXPECT_LT(std::stoll(job["cost"]["total_nanos"].get<std::string>()),
            std::stoll(reference_job()["cost"]["total_nanos"].get<std::string>()));
  EXPECT_EQ(adapter_digest(job["job_id"], "reused"), adapter_digest(reference_job()["job_id"], "reference"));
}

// At random points of one job; no more of the training and of its worker than the attempts that a task has.
TEST_F(JobTest, SurvivesKillsOfEveryProgramWithTheSameResult) {
  const std::string id =
      json::parse(installation().espalier_json(submit(reference_job()["preparation"]["dataset_id"])))["job_id"];
  PhiloxStream random(2026);
  for (const std::string program : {"espalier-coordinator", "espalier-train", "espalier-coordinator", "espalier-worker",
                                    "espalier-coordinator", "espalier-train"}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(2000)));
    ASSERT_TRUE(installation().kill_program(program)) << program;
  }
  const auto job = finish(id);
  EXPECT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(adapter_digest(id, "after-many"), adapter_digest(reference_job()["job_id"], "reference"));
  EXPECT_EQ(job["cost"]["total_nanos"], job["estimate"]["total_nanos"]);
}

TEST_F(JobTest, ACancelledJobCostsNothing) {
  const std::string id = json::parse(
      installation().espalier_json(submit(reference_job()["preparation"]["dataset_id"], {"--name", "c"})))["job_id"];
  ASSERT_EQ(installation().espalier({"cancel", id}).code, 0);
  const auto job = finish(id);
  EXPECT_EQ(job["state"], "JOB_STATE_CANCELLED");
  EXPECT_EQ(job["cost"]["total_nanos"], "0");
}

TEST_F(JobTest, TheSameRequestIdIsTheSameJob) {
  const auto dataset = reference_job()["preparation"]["dataset_id"].get<std::string>();
  const auto once = json::parse(installation().espalier_json(submit(dataset, {"--request-id", "same-request"})));
  const auto twice = json::parse(installation().espalier_json(submit(dataset, {"--request-id", "same-request"})));
  EXPECT_EQ(once["job_id"], twice["job_id"]);
  installation().espalier({"cancel", once["job_id"]});
}

}  // namespace
}  // namespace espalier::e2e
