#include "coordinator/tenants/tenant_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/records.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr double kLeastWeight = 0.001;
constexpr double kMostWeight = 1000;
constexpr double kMostRequestsPerSecond = 1e6;

bool is_display_text(const std::string& text) {
  return text.size() <= 200 &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
}

bool is_after(const google::protobuf::Timestamp& time, int64_t now_us) {
  constexpr int64_t kYear10000 = 253'402'300'800;
  return time.seconds() >= 0 && time.seconds() < kYear10000 && time.nanos() >= 0 && time.nanos() < 1'000'000'000 &&
         to_micros(time) > now_us;
}

void check_name(const std::string& name, std::vector<FieldFault>& faults) {
  if (name.empty() || !is_display_text(name)) {
    faults.push_back({"display_name", "must be 1 to 200 bytes without control characters"});
  }
}

void check_weight(double weight, std::vector<FieldFault>& faults) {
  if (weight >= kLeastWeight && weight <= kMostWeight) return;
  faults.push_back({"weight", absl::StrCat("must be ", kLeastWeight, " to ", kMostWeight)});
}

void check_limits(const v1::TenantLimits& limits, std::vector<FieldFault>& faults) {
  const auto check = [&](const char* field, bool valid, const char* allowed) {
    if (!valid) faults.push_back({absl::StrCat("limits.", field), allowed});
  };
  constexpr const char* kCount = "must be 0 (no limit) or more";
  check("max_queued_jobs", limits.max_queued_jobs() >= 0, kCount);
  check("max_running_jobs", limits.max_running_jobs() >= 0, kCount);
  check("max_gpus", limits.max_gpus() >= 0, kCount);
  check("max_storage_bytes", limits.max_storage_bytes() >= 0, kCount);
  check("daily_spend_nanos", limits.daily_spend_nanos() >= 0, kCount);
  check("request_burst", limits.request_burst() >= 0, kCount);
  const double rate = limits.requests_per_second();
  check("requests_per_second", rate >= 0 && rate <= kMostRequestsPerSecond, "must be 0 (no limit) to 1000000");
}

}  // namespace

std::vector<FieldFault> faults_of(const v1::CreateTenantRequest& request) {
  std::vector<FieldFault> faults;
  check_name(request.display_name(), faults);
  if (request.weight() != 0) check_weight(request.weight(), faults);
  check_limits(request.limits(), faults);
  return faults;
}

std::vector<FieldFault> faults_of(const v1::UpdateTenantRequest& request) {
  std::vector<FieldFault> faults;
  if (request.has_display_name()) check_name(request.display_name(), faults);
  if (request.has_weight()) check_weight(request.weight(), faults);
  if (!v1::TenantState_IsValid(request.state())) faults.push_back({"state", "must be ACTIVE or SUSPENDED"});
  check_limits(request.limits(), faults);
  return faults;
}

std::vector<FieldFault> faults_of(const v1::CreateKeyRequest& request, const std::string& tenant_id, int64_t now_us) {
  std::vector<FieldFault> faults;
  if (!is_display_text(request.name())) {
    faults.push_back({"name", "must be at most 200 bytes without control characters"});
  }
  if (request.role() == v1::ROLE_UNSPECIFIED || !v1::Role_IsValid(request.role())) {
    faults.push_back({"role", "must be READ, SUBMIT, ADMIN, OPERATOR or WORKER"});
  }
  if (request.role() >= v1::ROLE_OPERATOR && tenant_id != kLocalTenant) {
    faults.push_back({"role", absl::StrCat("keys of operators and workers belong to the tenant ", kLocalTenant)});
  }
  if (request.has_expire_time() && !is_after(request.expire_time(), now_us)) {
    faults.push_back({"expire_time", "must be in the future, before the year 10000"});
  }
  return faults;
}

bool may_handle(const Caller& caller, v1::Role role) {
  return caller.is_operator() || (role != v1::ROLE_WORKER && role <= caller.role);
}

}  // namespace espalier::coordinator
