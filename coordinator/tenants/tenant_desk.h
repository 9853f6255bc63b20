#pragma once

#include <string>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/caller.h"
#include "coordinator/tenants/key_ring.h"
#include "coordinator/tenants/secrets.h"

namespace espalier::coordinator {

// What TenantService does, without gRPC: each change is one transaction with its audit entry. Thread-safe. Errors as
// tenants.proto documents; the Gate has checked the caller's role for the call as such.
class TenantDesk {
 public:
  struct Parts {  // all must outlive the desk
    Database& database;
    KeyRing& keys;
    const Pepper& pepper;
    const Clock& clock;
  };
  explicit TenantDesk(Parts parts) : parts_(parts) {}

  Result<v1::GetCallerResponse> describe(const Caller& caller);
  Result<v1::Tenant> create(const Caller& caller, const v1::CreateTenantRequest& request);
  Result<v1::Tenant> find(const Caller& caller, const std::string& tenant_id);
  Result<v1::ListTenantsResponse> list(const v1::ListTenantsRequest& request);
  Result<v1::Tenant> update(const Caller& caller, const v1::UpdateTenantRequest& request);

  Result<v1::CreateKeyResponse> create_key(const Caller& caller, const v1::CreateKeyRequest& request);
  Result<v1::ListKeysResponse> list_keys(const Caller& caller, const v1::ListKeysRequest& request);
  Result<v1::Key> revoke_key(const Caller& caller, const std::string& key_id);

  Result<v1::ListAuditLogResponse> list_audit_log(const Caller& caller, const v1::ListAuditLogRequest& request);
  Result<v1::VerifyAuditLogResponse> verify_audit_log();

 private:
  Result<v1::Tenant> apply(soci::session& sql, const Caller& caller, const v1::UpdateTenantRequest& request);

  const Parts parts_;
};

}  // namespace espalier::coordinator
