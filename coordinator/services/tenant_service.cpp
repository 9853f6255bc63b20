#include "coordinator/services/tenant_service.h"

namespace espalier::coordinator {

grpc::Status TenantServiceHandler::GetCaller(grpc::ServerContext* context, const v1::GetCallerRequest*,
                                             v1::GetCallerResponse* response) {
  return gate_.admit<v1::GetCallerRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.describe(caller));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                                                v1::CreateTenantResponse* response) {
  return gate_.admit<v1::CreateTenantRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_tenant(), desk_.create(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::GetTenant(grpc::ServerContext* context, const v1::GetTenantRequest* request,
                                             v1::GetTenantResponse* response) {
  return gate_.admit<v1::GetTenantRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_tenant(), desk_.find(caller, request->tenant_id()));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::ListTenants(grpc::ServerContext* context, const v1::ListTenantsRequest* request,
                                               v1::ListTenantsResponse* response) {
  return gate_.admit<v1::ListTenantsRequest>(*context, [&](const Caller&) -> Status {
    ESP_ASSIGN(*response, desk_.list(*request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::UpdateTenant(grpc::ServerContext* context, const v1::UpdateTenantRequest* request,
                                                v1::UpdateTenantResponse* response) {
  return gate_.admit<v1::UpdateTenantRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_tenant(), desk_.update(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                                             v1::CreateKeyResponse* response) {
  return gate_.admit<v1::CreateKeyRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.create_key(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::ListKeys(grpc::ServerContext* context, const v1::ListKeysRequest* request,
                                            v1::ListKeysResponse* response) {
  return gate_.admit<v1::ListKeysRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.list_keys(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                                             v1::RevokeKeyResponse* response) {
  return gate_.admit<v1::RevokeKeyRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_key(), desk_.revoke_key(caller, request->key_id()));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::ListAuditLog(grpc::ServerContext* context, const v1::ListAuditLogRequest* request,
                                                v1::ListAuditLogResponse* response) {
  return gate_.admit<v1::ListAuditLogRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.list_audit_log(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status TenantServiceHandler::VerifyAuditLog(grpc::ServerContext* context, const v1::VerifyAuditLogRequest*,
                                                  v1::VerifyAuditLogResponse* response) {
  return gate_.admit<v1::VerifyAuditLogRequest>(*context, [&](const Caller&) -> Status {
    ESP_ASSIGN(*response, desk_.verify_audit_log());
    return absl::OkStatus();
  });
}

}  // namespace espalier::coordinator
