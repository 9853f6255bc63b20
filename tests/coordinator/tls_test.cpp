#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "rpc/certificates.h"
#include "tests/coordinator/running_coordinator.h"

namespace espalier::coordinator {
namespace {

using ::testing::HasSubstr;

// Certificates as `espalier admin certificates` makes them, and a coordinator that uses them.
class TlsTest : public ::testing::Test {
 protected:
  static ServerTls make(const std::filesystem::path& folder) {
    const auto files = make_certificates(folder, {.hosts = {"coordinator.example"}, .workers = {"gpu-1"}});
    EXPECT_TRUE(files.ok()) << files.status();
    return {folder / "server.crt", folder / "server.key", folder / "ca.crt"};
  }

  static ClientTls worker_of(const std::filesystem::path& authority, const std::filesystem::path& own) {
    return {authority / "ca.crt", own / "worker-gpu-1.crt", own / "worker-gpu-1.key"};
  }

  Result<v1::GetCallerResponse> who_am_i(const ChannelSecurity& security) const {
    ESP_ASSIGN(const auto channel, open_channel(running_.coordinator->address(), security));
    const auto stub = v1::TenantService::NewStub(channel);
    grpc::ClientContext context;
    set_deadline(context);
    v1::GetCallerResponse response;
    const grpc::Status status = stub->GetCaller(&context, {}, &response);
    if (!status.ok()) return from_grpc(status);
    return response;
  }

  TempDir certificates_ = *TempDir::create(), other_ = *TempDir::create();
  RunningCoordinator running_{make(certificates_.path())};
};

TEST_F(TlsTest, KeysWorkOverAnEncryptedConnection) {
  ChannelSecurity security;
  security.key = running_.local_key(kOperatorKeyFile);
  security.tls.ca_file = certificates_.path() / "ca.crt";
  const auto caller = who_am_i(security);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->role(), v1::ROLE_OPERATOR);
  EXPECT_EQ(caller->tenant().tenant_id(), kLocalTenant);
}

TEST_F(TlsTest, PlaintextAndForeignServersAreRefused) {
  EXPECT_TRUE(absl::IsUnavailable(who_am_i({}).status()));
  make(other_.path());
  ChannelSecurity wrong;
  wrong.tls.ca_file = other_.path() / "ca.crt";
  EXPECT_TRUE(absl::IsUnavailable(who_am_i(wrong).status()));
}

TEST_F(TlsTest, ACertificateMakesAWorkerAndNothingElse) {
  ChannelSecurity security;
  security.tls = worker_of(certificates_.path(), certificates_.path());
  const auto caller = who_am_i(security);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->role(), v1::ROLE_WORKER);
  EXPECT_EQ(caller->principal(), "spiffe://espalier/worker/gpu-1");
  const auto channel = open_channel(running_.coordinator->address(), security);
  const auto stub = v1::TenantService::NewStub(*channel);
  grpc::ClientContext context;
  set_deadline(context);
  v1::ListTenantsResponse response;
  EXPECT_EQ(stub->ListTenants(&context, {}, &response).error_code(), grpc::PERMISSION_DENIED);
}

TEST_F(TlsTest, NoCertificateAndNoKeyIsNobody) {
  ChannelSecurity security;
  security.tls.ca_file = certificates_.path() / "ca.crt";
  EXPECT_EQ(reason_of(who_am_i(security).status()), "KEY_MISSING");
}

TEST_F(TlsTest, ACertificateOfAnotherAuthorityIsRefused) {
  make(other_.path());
  ChannelSecurity security;
  security.tls = worker_of(certificates_.path(), other_.path());
  EXPECT_FALSE(who_am_i(security).ok());
}

TEST_F(TlsTest, TheServersOwnCertificateMakesNoWorker) {
  ChannelSecurity security;
  security.tls = {certificates_.path() / "ca.crt", certificates_.path() / "server.crt",
                  certificates_.path() / "server.key"};
  EXPECT_FALSE(who_am_i(security).ok());
}

TEST(Certificates, AreAddedToAnAuthorityThatIsThere) {
  const TempDir folder = *TempDir::create();
  ASSERT_TRUE(make_certificates(folder.path(), {}).ok());
  const std::string authority = *read_file(folder.path() / "ca.crt");
  const auto files = make_certificates(folder.path(), {.hosts = {}, .workers = {"a", "b"}});
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->size(), 6u) << "server and two workers";
  EXPECT_EQ(*read_file(folder.path() / "ca.crt"), authority);
  std::filesystem::remove(folder.path() / "ca.key");
  EXPECT_TRUE(absl::IsInvalidArgument(make_certificates(folder.path(), {}).status())) << "not overwritten";
}

TEST(Certificates, RefuseNamesThatCouldSayMore) {
  const TempDir folder = *TempDir::create();
  for (const char* host : {"", "a,URI:spiffe://espalier/worker/x", "a b", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(make_certificates(folder.path(), {.hosts = {host}}).status())) << host;
    EXPECT_TRUE(absl::IsInvalidArgument(make_certificates(folder.path(), {.workers = {host}}).status())) << host;
  }
}

TEST(ServerTlsFiles, MustBelongTogether) {
  const TempDir folder = *TempDir::create();
  ASSERT_TRUE(make_certificates(folder.path(), {.workers = {"gpu-1"}}).ok());
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  for (const ServerTls& tls : {ServerTls{file("server.crt"), file("worker-gpu-1.key"), ""},
                               ServerTls{file("server.crt"), file("absent.key"), ""},
                               ServerTls{file("server.crt"), "", ""}, ServerTls{"", "", file("ca.crt")}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(server_credentials(tls).status()));
  }
  EXPECT_TRUE(server_credentials({file("server.crt"), file("server.key"), ""}).ok());
}

}  // namespace
}  // namespace espalier::coordinator
