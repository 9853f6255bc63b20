#include "infer/program/admission.h"

#include <gmock/gmock.h>
#include <grpcpp/server_context.h>

#include "common/files.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/credentials.h"
#include "rpc/metadata.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace espalier::infer {
namespace {

// A coordinator that knows three keys.
class Tenants final : public v1::TenantService::Service {
 public:
  grpc::Status GetCaller(grpc::ServerContext* context, const v1::GetCallerRequest*,
                         v1::GetCallerResponse* response) override {
    const std::string authorization = metadata_entry(*context, kAuthorizationEntry);
    tenant = metadata_entry(*context, kTenantEntry);
    if (authorization == "Key key_reader:r") {
      response->set_role(v1::ROLE_READ);
    } else if (authorization == "Key key_worker:w") {
      response->set_role(v1::ROLE_WORKER);
    } else if (authorization == "Key key_maker:m") {
      response->set_role(v1::ROLE_SUBMIT);
      response->mutable_tenant()->set_tenant_id("ten_maker");
    } else {
      return to_grpc(absl::UnauthenticatedError("unknown key"));
    }
    return grpc::Status::OK;
  }
  std::string tenant;
};

class Artefacts final : public v1::ArtefactService::Service {
 public:
  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest*,
                        grpc::ServerWriter<v1::DownloadResponse>*) override {
    authorization = metadata_entry(*context, kAuthorizationEntry);
    return to_grpc(absl::NotFoundError("no such artefact"));
  }
  std::string authorization;
};

class AdmissionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = *RpcServer::start({}, {&tenants_, &artefacts_});
    admit_ = admit_by(server_->address(), {}, false);
  }

  Tenants tenants_;
  Artefacts artefacts_;
  std::unique_ptr<RpcServer> server_;
  Admit admit_;
};

TEST_F(AdmissionTest, WantsAKeyThatMaySubmit) {
  EXPECT_TRUE(admit_({"Key key_maker:m", ""}).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(admit_({"Key key_reader:r", ""}).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(admit_({"Key key_worker:w", ""}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(admit_({"Key key_maker:other", ""}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(admit_({"", ""}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(admit_({"nonsense", ""}).status()));
}

TEST_F(AdmissionTest, FetchesWithTheCallersKeyAndTenant) {
  const auto caller = admit_({"Key key_maker:m", "ten_other"});
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant, "ten_maker") << "as the coordinator says";
  EXPECT_EQ(tenants_.tenant, "ten_other");
  const TempDir folder = *TempDir::create();
  EXPECT_TRUE(absl::IsNotFound(caller->fetch("art_1", folder.path() / "a.safetensors", {})));
  EXPECT_EQ(artefacts_.authorization, "Key key_maker:m");
}

TEST_F(AdmissionTest, SendsNoKeyInTheClearToAnotherMachine) {
  const auto refused = admit_by("192.0.2.1:7430", {}, false)({"Key key_maker:m", ""});
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
}

}  // namespace
}  // namespace espalier::infer
