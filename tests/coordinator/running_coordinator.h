#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "common/files.h"
#include "coordinator/coordinator.h"
#include "coordinator/tenants/local_keys.h"
#include "coordinator/tenants/tenant_repository.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "tests/coordinator/any_call.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {

// A whole coordinator on a folder of its own, its clock in the test's hands, and the operator's calls to it.
class RunningCoordinator {
 public:
  explicit RunningCoordinator(ServerTls tls = {}) {
    config.listen = "127.0.0.1:0";
    config.data_dir = (folder.path() / "data").string();
    config.limits.min_free_disk = {0};
    config.metrics_listen.clear();
    config.tls = std::move(tls);
    start();
  }

  void start() {
    auto started = Coordinator::start(config, clock);
    ASSERT_TRUE(started.ok()) << started.status();
    coordinator = *std::move(started);
    channel = make_channel(coordinator->address());
  }

  Credentials local_key(const char* file) const { return *read_key_file(key_folder(config.data_dir) / file); }
  std::string operator_authorization() const { return authorization_of(local_key(kOperatorKeyFile)); }

  // One call of TenantService, by the operator unless told otherwise.
  template <class Request, class Response>
  Result<Response> tenants(grpc::Status (v1::TenantService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                           Response*),
                           const Request& request, const std::string& authorization = "") {
    v1::TenantService::Stub stub(channel);
    grpc::ClientContext context;
    set_deadline(context);
    context.AddMetadata(kAuthorizationEntry, authorization.empty() ? operator_authorization() : authorization);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return from_grpc(status);
    return response;
  }

  std::string new_tenant(const v1::TenantLimits& limits = no_limits()) {
    v1::CreateTenantRequest request;
    request.set_display_name("a tenant");
    request.set_post_paid(true);
    *request.mutable_limits() = limits;
    const auto response = tenants(&v1::TenantService::Stub::CreateTenant, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->tenant().tenant_id() : "";
  }

  Credentials new_key(const std::string& tenant_id, v1::Role role, int64_t expire_us = 0) {
    v1::CreateKeyRequest request;
    request.set_tenant_id(tenant_id);
    request.set_role(role);
    if (expire_us != 0) request.mutable_expire_time()->set_seconds(expire_us / 1'000'000);
    const auto response = tenants(&v1::TenantService::Stub::CreateKey, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? Credentials{response->key().key_id(), response->secret()} : Credentials{};
  }

  void suspend(const std::string& tenant_id) {
    v1::UpdateTenantRequest request;
    request.set_tenant_id(tenant_id);
    request.set_state(v1::TENANT_STATE_SUSPENDED);
    EXPECT_TRUE(tenants(&v1::TenantService::Stub::UpdateTenant, request).ok());
  }

  void revoke(const std::string& key_id) {
    v1::RevokeKeyRequest request;
    request.set_key_id(key_id);
    EXPECT_TRUE(tenants(&v1::TenantService::Stub::RevokeKey, request).ok());
  }

  // Any key by any call; enough time passes before that no rate matters.
  Answer call(const google::protobuf::MethodDescriptor& method, const google::protobuf::Message& request,
              const CallEntries& entries, std::chrono::milliseconds deadline = std::chrono::seconds(20)) {
    clock.advance(std::chrono::seconds(1));
    return call_any(channel, method, request, entries, deadline);
  }

  TempDir folder = *TempDir::create();
  FakeClock clock;
  CoordinatorConfig config;
  std::unique_ptr<Coordinator> coordinator;
  std::shared_ptr<grpc::Channel> channel;  // without a key
};

}  // namespace espalier::coordinator
