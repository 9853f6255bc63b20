#pragma once

#include "coordinator/tenants/gate.h"
#include "coordinator/tenants/tenant_desk.h"
#include "espalier/v1/tenants.grpc.pb.h"

namespace espalier::coordinator {

// TenantService in front of the TenantDesk.
class TenantServiceHandler final : public v1::TenantService::Service {
 public:
  TenantServiceHandler(Gate& gate, TenantDesk& desk) : gate_(gate), desk_(desk) {}

  grpc::Status GetCaller(grpc::ServerContext*, const v1::GetCallerRequest*, v1::GetCallerResponse*) override;
  grpc::Status CreateTenant(grpc::ServerContext*, const v1::CreateTenantRequest*, v1::CreateTenantResponse*) override;
  grpc::Status GetTenant(grpc::ServerContext*, const v1::GetTenantRequest*, v1::GetTenantResponse*) override;
  grpc::Status ListTenants(grpc::ServerContext*, const v1::ListTenantsRequest*, v1::ListTenantsResponse*) override;
  grpc::Status UpdateTenant(grpc::ServerContext*, const v1::UpdateTenantRequest*, v1::UpdateTenantResponse*) override;
  grpc::Status CreateKey(grpc::ServerContext*, const v1::CreateKeyRequest*, v1::CreateKeyResponse*) override;
  grpc::Status ListKeys(grpc::ServerContext*, const v1::ListKeysRequest*, v1::ListKeysResponse*) override;
  grpc::Status RevokeKey(grpc::ServerContext*, const v1::RevokeKeyRequest*, v1::RevokeKeyResponse*) override;
  grpc::Status ListAuditLog(grpc::ServerContext*, const v1::ListAuditLogRequest*, v1::ListAuditLogResponse*) override;
  grpc::Status VerifyAuditLog(grpc::ServerContext*, const v1::VerifyAuditLogRequest*,
                              v1::VerifyAuditLogResponse*) override;

 private:
  Gate& gate_;
  TenantDesk& desk_;
};

}  // namespace espalier::coordinator
