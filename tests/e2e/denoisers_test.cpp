#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "common/sha256.h"
#include "tests/e2e/extra_worker.h"
#include "tests/e2e/installation.h"
#include "tests/e2e/jobs.h"

// A job that trains several denoisers of one dataset.
namespace espalier::e2e {
namespace {

using nlohmann::json;

class DenoisersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

json job_now(const std::string& id) { return json::parse(installation().espalier_json({"job", id})); }

// True once both stages are seen running at the same moment; false when the job ended without.
bool run_together(const std::string& id) {
  for (json job = job_now(id);; job = job_now(id)) {
    const json& stages = job["denoisers"];
    if (stages[0]["state"] == "STAGE_STATE_RUNNING" && stages[1]["state"] == "STAGE_STATE_RUNNING") return true;
    const std::string state = job["state"];
    if (state != "JOB_STATE_QUEUED" && state != "JOB_STATE_PREPARING" && state != "JOB_STATE_TRAINING") return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

// A job that asked for it has scores of the base and of its one adapter, the report among its logs, and its price.
void expect_judged(const std::string& id) {
  const json job = finish(id);
  ASSERT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(job["cost"]["total_nanos"], job["estimate"]["total_nanos"]);
  const json candidates = job["denoisers"][0].value(json::json_pointer("/evaluation/candidates"), json::array());
  ASSERT_EQ(candidates.size(), 2u) << job.dump(1);
  EXPECT_EQ(candidates[0]["candidate"], "base");
  EXPECT_GT(candidates[0]["f_score"], 0);
  EXPECT_NE(candidates[0]["chamfer"], candidates[1]["chamfer"]) << "the adapter changes nothing";
  const auto folder = installation().folder() / "judged";
  const auto download = installation().espalier({"download", id, "--logs", "-o", folder.string()});
  ASSERT_EQ(download.code, 0) << download.text();
  EXPECT_TRUE(std::filesystem::exists(folder / "sparse_structure.evaluation.json"));
  EXPECT_TRUE(std::filesystem::exists(folder / "sparse_structure.contact_sheet.png"));
}

TEST_F(DenoisersTest, TrainInParallelAndActTogether) {
  const ExtraWorker extra("denoisers-worker");
  const std::string dataset = reference_job()["preparation"]["dataset_id"];
  const std::vector<std::string> few = {"--batch-size", "2", "--holdout-view", "8"};
  const std::string id =
      json::parse(installation().espalier_json(submit(dataset, few, "geometry,sparse_structure,texture")))["job_id"];
  EXPECT_TRUE(run_together(id));
  const std::string alone = submitted(dataset, {"--batch-size", "2", "--holdout-view", "8", "--evaluate"});
  const json job = finish(id);
  ASSERT_EQ(job["state"], "JOB_STATE_SUCCEEDED") << job.dump(1);
  EXPECT_EQ(job["denoisers"][0]["denoiser"], "DENOISER_GEOMETRY") << "adapters come in the order of the request";
  EXPECT_EQ(job["denoisers"][1]["denoiser"], "DENOISER_SPARSE_STRUCTURE");
  EXPECT_EQ(job["denoisers"][2]["denoiser"], "DENOISER_TEXTURE");
  EXPECT_EQ(job["cost"]["total_nanos"], job["estimate"]["total_nanos"]);
  expect_judged(alone);
  EXPECT_EQ(adapter_digest(id, "all"), adapter_digest(alone, "alone")) << "other stages of the job must change nothing";

  const auto folder = installation().folder() / "all";
  const std::string image = reference_picture().string();
  const auto generate = [&](const std::string& name, const std::vector<std::string>& adapters) {
    const std::string output = (folder / name).string();
    std::vector<std::string> arguments = {"generate", image, "--seed", "1", "-o", output};
    for (const auto& adapter : adapters) {
      arguments.insert(arguments.end(), {"--adapter", (folder / (adapter + ".safetensors")).string()});
    }
    const auto ran = installation().espalier(arguments);
    EXPECT_EQ(ran.code, 0) << ran.text();
    return sha256_hex_of_file(output).value_or("");
  };
  const auto structure = generate("structure.glb", {"sparse_structure"});
  const auto both = generate("both.glb", {"sparse_structure", "geometry"});
  EXPECT_NE(structure, both) << "the geometry adapter changes nothing";
  EXPECT_NE(generate("geometry.glb", {"geometry"}), both) << "the structure adapter changes nothing";
  EXPECT_NE(generate("all.glb", {"sparse_structure", "geometry", "texture"}), both)
      << "the texture adapter does not act";
}

}  // namespace
}  // namespace espalier::e2e
