#include <gmock/gmock.h>
#include <grpcpp/channel.h>

#include <nlohmann/json.hpp>

#include "client/command.h"
#include "tests/client/command_line.h"
#include "tests/coordinator/local_channel.h"
#include "tests/coordinator/running_coordinator.h"

namespace espalier::client {
namespace {

using coordinator::RunningCoordinator;
using ::testing::HasSubstr;
using ::testing::Not;

// `espalier admin …` against a coordinator, with the operator's key unless told otherwise.
class AdminTest : public ::testing::Test {
 protected:
  Output admin(std::vector<std::string> arguments, bool json = true) {
    Command command;
    command.coordinator = running_.coordinator->address();
    command.json = json;
    command.channel = channel_ ? channel_ : coordinator::local_channel(running_.config, command.coordinator);
    arguments.insert(arguments.begin(), "admin");
    return run_client(command, {add_admin}, arguments);
  }

  std::string new_tenant() { return admin({"tenant", "create", "Studio", "--weight", "2"}).json()["tenant_id"]; }

  RunningCoordinator running_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(AdminTest, MakesSuspendsAndResumesATenant) {
  const std::string tenant = new_tenant();
  EXPECT_EQ(admin({"tenant", "show", tenant}).json()["weight"], 2.0);
  EXPECT_EQ(admin({"tenant", "suspend", tenant}).json()["state"], "TENANT_STATE_SUSPENDED");
  EXPECT_EQ(admin({"tenant", "resume", tenant}).json()["state"], "TENANT_STATE_ACTIVE");
  EXPECT_THAT(admin({"tenant", "list"}, /*json=*/false).text, HasSubstr(tenant));
}

TEST_F(AdminTest, ChangesOnlyTheLimitsThatAreNamed) {
  const std::string tenant = new_tenant();
  const auto limits = admin({"quota", "set", tenant, "--max-gpus", "0", "--max-storage", "3GiB", "--daily-spend",
                             "12.5", "--requests-per-second", "7"})
                          .json()["limits"];
  EXPECT_EQ(limits["max_gpus"], 0);
  EXPECT_EQ(limits["max_storage_bytes"], std::to_string(int64_t{3} << 30));
  EXPECT_EQ(limits["daily_spend_nanos"], "12500000000");
  EXPECT_EQ(limits["requests_per_second"], 7.0);
  EXPECT_EQ(limits["max_queued_jobs"], 100) << "as before";
  EXPECT_THAT(admin({"quota", "show", tenant}, /*json=*/false).text, HasSubstr("3 GiB"));
}

TEST_F(AdminTest, ShowsASecretOnceOrWritesItToAPrivateFile) {
  const std::string tenant = new_tenant();
  EXPECT_THAT(admin({"key", "create", tenant, "--role", "read"}, /*json=*/false).text, HasSubstr("ESPALIER_KEY=key_"));
  const auto file = running_.folder.path() / "admin.key";
  const Output written = admin({"key", "create", tenant, "--role", "admin", "-o", file.string()});
  const auto key = read_key_file(file);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_THAT(written.text, Not(HasSubstr(key->secret)));
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_THAT(admin({"key", "list", tenant}).text, HasSubstr(key->key_id));

  ChannelSecurity security;
  security.key = *key;
  channel_ = *open_channel(running_.coordinator->address(), security);
  EXPECT_EQ(admin({"key", "list"}).status, absl::OkStatus());
  EXPECT_TRUE(absl::IsPermissionDenied(admin({"tenant", "list"}).status));
  EXPECT_EQ(admin({"key", "revoke", key->key_id}).status, absl::OkStatus());
  const Status refused = admin({"key", "list"}).status;
  EXPECT_TRUE(absl::IsUnauthenticated(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("ESPALIER_KEY")) << "says what to set";
}

TEST_F(AdminTest, ShowsAndVerifiesTheAuditLog) {
  const std::string tenant = new_tenant();
  EXPECT_THAT(admin({"audit", tenant}).text, HasSubstr("tenant.create"));
  EXPECT_THAT(admin({"audit", "--verify"}, /*json=*/false).text, HasSubstr("unaltered"));
}

TEST_F(AdminTest, MakesCertificatesWithoutACoordinator) {
  const auto folder = running_.folder.path() / "certificates";
  channel_ = make_channel("127.0.0.1:1");  // nobody is there
  const Output output = admin({"certificates", "--out", folder.string(), "--host", "10.0.0.5", "--worker", "gpu-1"});
  EXPECT_EQ(output.status, absl::OkStatus());
  EXPECT_EQ(output.json()["files"].size(), 6u);
  EXPECT_TRUE(std::filesystem::exists(folder / "worker-gpu-1.key"));
}

}  // namespace
}  // namespace espalier::client
