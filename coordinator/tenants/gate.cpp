#include "coordinator/tenants/gate.h"

#include <grpcpp/security/auth_context.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "coordinator/tenants/audit_log.h"
#include "rpc/credentials.h"
#include "rpc/metadata.h"
#include "rpc/roles.h"
#include "rpc/tls.h"

namespace espalier::coordinator {
namespace {

// Wrong or unknown keys from one address: these many at once, then these many a second.
constexpr TokenBuckets::Rate kFailureRate{.per_second = 5, .burst = 50};

// "ipv4:10.0.0.7:51234" without the port.
std::string address_of(const grpc::ServerContext& context) {
  const std::string peer = context.peer();
  return peer.substr(0, peer.rfind(':'));
}

Status too_fast(const char* reason, const char* message, int64_t wait_us) {
  return with_retry_after(with_reason(absl::ResourceExhaustedError(message), reason), wait_us);
}

Status check_role(const Access& access, v1::Role role) {
  const bool worker = role == v1::ROLE_WORKER;
  const bool allowed = worker ? access.workers : access.role != v1::ROLE_UNSPECIFIED && role >= access.role;
  if (allowed) return absl::OkStatus();
  const v1::Role least = access.role == v1::ROLE_UNSPECIFIED ? v1::ROLE_WORKER : access.role;
  return with_reason(absl::PermissionDeniedError(absl::StrCat(access.method, ": takes a key with the role ",
                                                              role_name(least), ", this one's is ", role_name(role))),
                     "ROLE_INSUFFICIENT");
}

Status check_state(const TenantRecord& tenant) {
  if (tenant.state != v1::TENANT_STATE_SUSPENDED) return absl::OkStatus();
  return with_reason(absl::PermissionDeniedError(
                         absl::StrCat("tenant ", tenant.id, " is suspended; ask the operator of this service")),
                     "TENANT_SUSPENDED");
}

}  // namespace

Result<Caller> Gate::authorise(const google::protobuf::Descriptor& request, const grpc::ServerContext& context) {
  const auto access = access_of(request);
  if (!access) return absl::PermissionDeniedError("no role may make this call");
  const std::string header = metadata_entry(context, kAuthorizationEntry);
  if (header.empty()) return by_certificate(*access, context);
  ESP_ASSIGN(const Credentials credentials, parse_authorization(header));
  ESP_ASSIGN(const KeyRing::Holder holder, authenticate(credentials, address_of(context)));
  ESP_TRY(check_role(*access, holder.key.role));
  Caller caller{holder.tenant.id, holder.key.id, holder.key.role};
  if (caller.is_worker()) {
    caller.tenant_id.clear();
    return caller;
  }
  ESP_TRY(check_state(holder.tenant));
  ESP_TRY(spend_request(holder));
  keys_.note_use(holder.key);
  return in_named_tenant(std::move(caller), *access, metadata_entry(context, kTenantEntry));
}

Status Gate::recheck(const Caller& caller) {
  if (absl::StartsWith(caller.principal, kWorkerUri)) return absl::OkStatus();  // lasts as long as its connection
  ESP_ASSIGN(const KeyRing::Holder holder, keys_.still_valid(caller.principal));
  return caller.is_worker() ? absl::OkStatus() : check_state(holder.tenant);
}

void Gate::tell(const google::protobuf::Descriptor& request, const Result<Caller>& caller, const Status& status,
                std::chrono::duration<double> time) const {
  const auto access = access_of(request);
  if (calls_ != nullptr && access) calls_->handled(access->method, caller, status, time.count());
}

Result<Caller> Gate::by_certificate(const Access& access, const grpc::ServerContext& context) const {
  const std::string worker = worker_of_peer(*context.auth_context());
  if (worker.empty()) {
    return with_reason(absl::UnauthenticatedError("authorization: is missing (allowed: 'Key <key id>:<secret>')"),
                       "KEY_MISSING");
  }
  ESP_TRY(check_role(access, v1::ROLE_WORKER));
  return Caller{"", worker, v1::ROLE_WORKER};
}

Result<KeyRing::Holder> Gate::authenticate(const Credentials& credentials, const std::string& address) {
  const int64_t now_us = clock_.now_us();
  // A key that is remembered is checked at once, so that one caller's faults do not lock out others of its address.
  if (!keys_.remembers(credentials.key_id) && failures_.is_empty(address, kFailureRate, now_us)) {
    return too_fast("AUTHENTICATION_RATE", "too many wrong keys from this address",
                    static_cast<int64_t>(1e6 / kFailureRate.per_second));
  }
  auto holder = keys_.verify(credentials);
  if (!absl::IsUnauthenticated(holder.status())) return holder;
  if (const int64_t wait_us = failures_.take(address, kFailureRate, now_us); wait_us > 0) {
    return too_fast("AUTHENTICATION_RATE", "too many wrong keys from this address", wait_us);
  }
  return holder;
}

Status Gate::spend_request(const KeyRing::Holder& holder) {
  const v1::TenantLimits& limits = holder.tenant.limits;
  const double per_second = limits.requests_per_second();
  if (per_second <= 0) return absl::OkStatus();
  const double burst = limits.request_burst() > 0 ? limits.request_burst() : std::max(per_second, 1.0);
  const int64_t wait_us = rates_.take(holder.key.id, {per_second, burst}, clock_.now_us());
  if (wait_us == 0) return absl::OkStatus();
  return too_fast("REQUEST_RATE", "this key makes more requests than its tenant's limit allows", wait_us);
}

Result<Caller> Gate::in_named_tenant(Caller caller, const Access& access, const std::string& tenant_id) {
  if (tenant_id.empty() || tenant_id == caller.tenant_id) return caller;
  const Status unknown = absl::NotFoundError(absl::StrCat(kTenantEntry, ": no tenant ", tenant_id));
  if (!caller.is_operator()) return unknown;  // as if there were none
  caller.tenant_id = tenant_id;
  const Status noted = database_.transaction([&](soci::session& sql) -> Status {
    if (!TenantRepository(sql).find(tenant_id).ok()) return unknown;
    AuditLog(sql).append({caller.principal, tenant_id, "operator.call", access.method}, clock_.now_us());
    return absl::OkStatus();
  });
  ESP_TRY(noted);
  return caller;
}

}  // namespace espalier::coordinator
