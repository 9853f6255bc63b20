#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "rpc/channel.h"
#include "tests/e2e/every_rpc.h"
#include "tests/e2e/extra_worker.h"
#include "tests/e2e/installation.h"
#include "tests/e2e/jobs.h"

// Two tenants on four workers of one machine, and a third who must see nothing of it.
namespace espalier::e2e {
namespace {

using nlohmann::json;

// One tenant with credit and a key, and the command line as it has it.
class Tenant {
 public:
  explicit Tenant(const std::string& name) : key_file_(installation().folder() / (name + ".key")) {
    id_ = json::parse(installation().espalier_json({"admin", "tenant", "create", name}))["tenant_id"];
    EXPECT_EQ(installation().espalier({"admin", "grant", id_, "10000"}).code, 0);
    const auto made = json::parse(
        installation().espalier_json({"admin", "key", "create", id_, "--role", "submit", "-o", key_file_.string()}));
    key_id_ = made["key"]["key_id"];
  }

  Output espalier(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "espalier");
    return run_program(
        arguments, {"ESPALIER_COORDINATOR=" + installation().coordinator(), "ESPALIER_KEY_FILE=" + key_file_.string()});
  }
  json espalier_json(std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    const Output output = espalier(std::move(arguments));
    EXPECT_EQ(output.code, 0) << output.text();
    return output.lines.empty() ? json::object() : json::parse(output.lines.back());
  }

  std::string submit(const std::string& source, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--batch-size", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return espalier_json(e2e::submit(source, arguments))["job_id"];
  }
  json finish(const std::string& job_id) const {
    espalier({"watch", job_id});
    return espalier_json({"job", job_id});
  }

  std::shared_ptr<grpc::Channel> channel() const {
    ChannelSecurity security;
    const auto key = read_key_file(key_file_);
    EXPECT_TRUE(key.ok()) << key.status();
    security.key = *key;
    return *open_channel(installation().coordinator(), security);
  }

  const std::string& id() const { return id_; }
  const std::string& key_id() const { return key_id_; }

 private:
  std::filesystem::path key_file_;
  std::string id_, key_id_;
};

int64_t nanos(const json& cost) { return std::stoll(cost["total_nanos"].get<std::string>()); }

std::string broken_archive() {
  const auto path = installation().folder() / "broken.glb";
  EXPECT_TRUE(write_file_atomic(path, std::string("glTF\x02\0\0\0\xff\xff\0\0", 12)).ok());
  return path.string();
}

// Five jobs of one tenant: from assets, then from its dataset by id (alone and as a gang of two) and by its zip, and
// one more. Returns the ids; `fifth` makes the last one.
template <class Fifth>
std::vector<std::string> submit_five(const Tenant& tenant, const std::string& name, const Fifth& fifth) {
  std::vector<std::string> jobs = {tenant.submit(assets().string())};
  const json first = tenant.finish(jobs[0]);
  const std::string dataset = first["preparation"]["dataset_id"];
  jobs.push_back(tenant.submit(dataset));
  jobs.push_back(tenant.submit(dataset, {"--world-size", "2"}));
  const auto folder = installation().folder() / name;
  EXPECT_EQ(tenant.espalier({"download", jobs[0], "--dataset", "-o", folder.string()}).code, 0);
  jobs.push_back(tenant.submit((folder / "dataset.zip").string()));
  jobs.push_back(fifth(dataset));
  return jobs;
}

// Every charged job is billed as estimated; what failed or was cancelled is not.
void check_bills(const Tenant& tenant, const std::vector<std::string>& jobs, const std::string& fifth_state) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    const json job = tenant.finish(jobs[i]);
    EXPECT_EQ(job["state"], i < 4 ? "JOB_STATE_SUCCEEDED" : fifth_state) << job.dump(1);
    if (i == 4) {
      EXPECT_EQ(nanos(job["cost"]), 0);
      continue;
    }
    const json invoice = tenant.espalier_json({"billing", "invoice", jobs[i]});
    EXPECT_EQ(nanos(invoice["cost"]), nanos(job["cost"]));
    // A zip shows that it is a prepared dataset only when a worker reads it: its estimate holds a preparation too.
    const bool by_zip = i == 3;
    EXPECT_EQ(nanos(job["cost"]), by_zip ? nanos(tenant.finish(jobs[1])["estimate"]) : nanos(job["estimate"]));
  }
}

class TenantsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(TenantsTest, TenJobsOfTwoTenantsAreBilledAsEstimatedAndAThirdSeesNothing) {
  std::deque<ExtraWorker> workers;
  for (const char* name : {"second-worker", "third-worker", "fourth-worker"}) workers.emplace_back(name);
  const Tenant one("one"), two("two"), spy("spy");

  std::vector<std::string> of_two;
  std::jthread second(
      [&] { of_two = submit_five(two, "two", [&](const std::string&) { return two.submit(broken_archive()); }); });
  const auto of_one = submit_five(one, "one", [&](const std::string& dataset) {
    const std::string job = one.submit(dataset);
    EXPECT_EQ(one.espalier({"cancel", job}).code, 0);
    return job;
  });
  second.join();
  check_bills(one, of_one, "JOB_STATE_CANCELLED");
  check_bills(two, of_two, "JOB_STATE_FAILED");
  EXPECT_EQ(installation().espalier({"admin", "ledger", "verify"}).code, 0);

  const json job = one.finish(of_one[0]);
  const std::map<std::string, std::string> wanted = {
      {"job_id", of_one[0]},
      {"dataset_id", job["preparation"]["dataset_id"]},
      {"artefact_id", job["denoisers"][0]["adapter"]["artefact_id"]},
      {"adapter_id", job["denoisers"][0]["adapter"]["adapter_id"]},
      {"tenant_id", one.id()},
      {"key_id", one.key_id()},
  };
  std::set<std::string> seen;
  for (const RpcAnswer& answer : call_every_rpc(spy.channel(), wanted)) {
    EXPECT_NE(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << answer.method;
    for (const auto& [field, value] : wanted) EXPECT_FALSE(answer.holds(value)) << answer.method << " shows " << field;
  }
  // The same calls by who may make them do show it, and nothing was changed or removed meanwhile.
  for (const RpcAnswer& answer : call_every_rpc(one.channel(), wanted, /*only_reading=*/true)) {
    for (const auto& [field, value] : wanted) {
      if (answer.holds(value)) seen.insert(field);
    }
  }
  EXPECT_THAT(seen, testing::IsSupersetOf({"job_id", "dataset_id", "artefact_id", "adapter_id", "tenant_id"}));
  EXPECT_EQ(one.finish(of_one[0]), job);
}

}  // namespace
}  // namespace espalier::e2e
