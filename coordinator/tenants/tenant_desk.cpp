#include "coordinator/tenants/tenant_desk.h"

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/records.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"
#include "coordinator/tenants/audit_log.h"
#include "coordinator/tenants/tenant_rules.h"

namespace espalier::coordinator {
namespace {

// The tenant that a request is about: the caller's own when it names none. NOT_FOUND for what the caller may not see.
Result<std::string> reachable(const Caller& caller, const std::string& tenant_id) {
  if (tenant_id.empty() || tenant_id == caller.tenant_id) return caller.tenant_id;
  if (caller.is_operator()) return tenant_id;
  return absl::NotFoundError(absl::StrCat("no tenant ", tenant_id));
}

}  // namespace

Result<v1::GetCallerResponse> TenantDesk::describe(const Caller& caller) {
  v1::GetCallerResponse response;
  response.set_role(caller.role);
  response.set_principal(caller.principal);
  *response.mutable_time() = to_timestamp(parts_.clock.now_us());
  if (caller.is_worker()) return response;
  ESP_ASSIGN(*response.mutable_tenant(), find(caller, caller.tenant_id));
  return response;
}

Result<v1::Tenant> TenantDesk::create(const Caller& caller, const v1::CreateTenantRequest& request) {
  ESP_TRY(invalid_fields(faults_of(request)));
  TenantRecord tenant;
  tenant.id = new_id("ten");
  tenant.display_name = request.display_name();
  if (request.weight() != 0) tenant.weight = request.weight();
  tenant.limits = default_limits();
  tenant.limits.MergeFrom(request.limits());
  tenant.post_paid = request.post_paid();
  tenant.create_us = parts_.clock.now_us();
  return parts_.database.transaction([&](soci::session& sql) -> Result<v1::Tenant> {
    TenantRepository(sql).insert(tenant);
    AuditLog(sql).append({caller.principal, tenant.id, "tenant.create", tenant.id, to_json(request)}, tenant.create_us);
    return to_proto(tenant);
  });
}

Result<v1::Tenant> TenantDesk::find(const Caller& caller, const std::string& tenant_id) {
  ESP_ASSIGN(const std::string id, reachable(caller, tenant_id));
  return parts_.database.read([&](soci::session& sql) -> Result<v1::Tenant> {
    ESP_ASSIGN(const TenantRecord tenant, TenantRepository(sql).find(id));
    return to_proto(tenant);
  });
}

Result<v1::ListTenantsResponse> TenantDesk::list(const v1::ListTenantsRequest& request) {
  const std::string scope = "tenants";
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  ESP_ASSIGN(const auto rows,
             parts_.database.read([&](soci::session& sql) { return TenantRepository(sql).list(page); }));
  v1::ListTenantsResponse response;
  response.set_next_page_token(fill_page(rows, wanted, scope, response.mutable_tenants(),
                                         [](const TenantRecord& row) { return to_proto(row); }));
  return response;
}

Result<v1::Tenant> TenantDesk::update(const Caller& caller, const v1::UpdateTenantRequest& request) {
  ESP_TRY(invalid_fields(faults_of(request)));
  if (request.state() == v1::TENANT_STATE_SUSPENDED && request.tenant_id() == kLocalTenant) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", kLocalTenant, " holds the operators' keys and cannot be suspended"));
  }
  auto tenant = parts_.database.transaction([&](soci::session& sql) { return apply(sql, caller, request); });
  parts_.keys.forget();
  return tenant;
}

Result<v1::Tenant> TenantDesk::apply(soci::session& sql, const Caller& caller, const v1::UpdateTenantRequest& request) {
  TenantRepository tenants(sql);
  ESP_ASSIGN(TenantRecord tenant, tenants.find(request.tenant_id()));
  if (request.has_display_name()) tenant.display_name = request.display_name();
  if (request.state() != v1::TENANT_STATE_UNSPECIFIED) tenant.state = request.state();
  if (request.has_weight()) tenant.weight = request.weight();
  tenant.limits.MergeFrom(request.limits());
  if (request.has_post_paid()) tenant.post_paid = request.post_paid();
  tenants.update(tenant);
  AuditLog(sql).append({caller.principal, tenant.id, "tenant.update", tenant.id, to_json(request)},
                       parts_.clock.now_us());
  return to_proto(tenant);
}

Result<v1::CreateKeyResponse> TenantDesk::create_key(const Caller& caller, const v1::CreateKeyRequest& request) {
  const int64_t now_us = parts_.clock.now_us();
  ESP_ASSIGN(const std::string tenant_id, reachable(caller, request.tenant_id()));
  ESP_TRY(invalid_fields(faults_of(request, tenant_id, now_us)));
  if (!may_handle(caller, request.role())) {
    return with_reason(absl::PermissionDeniedError("role: is above the role of the calling key"), "ROLE_INSUFFICIENT");
  }
  const Credentials credentials = new_credentials();
  KeyRecord key;
  key.id = credentials.key_id;
  key.tenant_id = tenant_id;
  key.name = request.name();
  key.role = request.role();
  key.digest = parts_.pepper.digest(credentials);
  key.create_us = now_us;
  if (request.has_expire_time()) key.expire_us = to_micros(request.expire_time());
  return parts_.database.transaction([&](soci::session& sql) -> Result<v1::CreateKeyResponse> {
    ESP_TRY(TenantRepository(sql).find(tenant_id).status());
    KeyRepository(sql).insert(key);
    AuditLog(sql).append({caller.principal, tenant_id, "key.create", key.id, to_json(request)}, now_us);
    v1::CreateKeyResponse response;
    *response.mutable_key() = to_proto(key);
    response.set_secret(credentials.secret);
    return response;
  });
}

Result<v1::ListKeysResponse> TenantDesk::list_keys(const Caller& caller, const v1::ListKeysRequest& request) {
  ESP_ASSIGN(const std::string tenant_id, reachable(caller, request.tenant_id()));
  const std::string scope = absl::StrCat("keys ", tenant_id);
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  return parts_.database.read([&](soci::session& sql) -> Result<v1::ListKeysResponse> {
    ESP_TRY(TenantRepository(sql).find(tenant_id).status());
    const auto rows = KeyRepository(sql).list(tenant_id, page);
    v1::ListKeysResponse response;
    response.set_next_page_token(
        fill_page(rows, wanted, scope, response.mutable_keys(), [](const KeyRecord& row) { return to_proto(row); }));
    return response;
  });
}

Result<v1::Key> TenantDesk::revoke_key(const Caller& caller, const std::string& key_id) {
  const int64_t now_us = parts_.clock.now_us();
  auto revoked = parts_.database.transaction([&](soci::session& sql) -> Result<v1::Key> {
    KeyRepository keys(sql);
    ESP_ASSIGN(KeyRecord key, keys.find(key_id));
    if (!caller.is_operator() && key.tenant_id != caller.tenant_id) {
      return absl::NotFoundError(absl::StrCat("no key ", key_id));
    }
    if (!may_handle(caller, key.role)) {
      return with_reason(absl::PermissionDeniedError("key_id: its role is above the role of the calling key"),
                         "ROLE_INSUFFICIENT");
    }
    if (key.revoke_us != 0) return to_proto(key);
    key.revoke_us = now_us;
    keys.revoke(key_id, now_us);
    AuditLog(sql).append({caller.principal, key.tenant_id, "key.revoke", key_id}, now_us);
    return to_proto(key);
  });
  parts_.keys.forget();
  return revoked;
}

Result<v1::ListAuditLogResponse> TenantDesk::list_audit_log(const Caller& caller,
                                                            const v1::ListAuditLogRequest& request) {
  std::string tenant_id = request.tenant_id();
  if (!tenant_id.empty() || !caller.is_operator()) {
    ESP_ASSIGN(tenant_id, reachable(caller, tenant_id));
  }
  const std::string scope = absl::StrCat("audit ", tenant_id);
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  return parts_.database.read([&](soci::session& sql) -> Result<v1::ListAuditLogResponse> {
    const auto rows = AuditLog(sql).list(tenant_id, page);
    v1::ListAuditLogResponse response;
    response.set_next_page_token(fill_page(rows, wanted, scope, response.mutable_entries(),
                                           [](const AuditLog::Row& row) { return to_proto(row); }));
    return response;
  });
}

Result<v1::VerifyAuditLogResponse> TenantDesk::verify_audit_log() {
  return parts_.database.read([&](soci::session& sql) -> Result<v1::VerifyAuditLogResponse> {
    ESP_ASSIGN(const AuditLog::Verified verified, AuditLog(sql).verify());
    v1::VerifyAuditLogResponse response;
    response.set_entries(verified.entries);
    response.set_sha256(verified.sha256);
    return response;
  });
}

}  // namespace espalier::coordinator
