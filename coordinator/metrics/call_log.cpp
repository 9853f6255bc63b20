#include "coordinator/metrics/call_log.h"

#include "common/log.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

// Codes that say that something is wrong here and not with the call.
bool is_our_fault(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnavailable:
      return true;
    default:
      return false;
  }
}

}  // namespace

void CallLog::handled(const std::string& method, const Result<Caller>& caller, const Status& status, double seconds) {
  const size_t dot = method.find('.');
  const std::string code = absl::StatusCodeToString(status.code());
  meter_.call_handled(method.substr(0, dot), dot == std::string::npos ? "" : method.substr(dot + 1), code, seconds);
  if (!caller.ok()) {
    const std::string reason = reason_of(caller.status());
    meter_.auth_failed(reason.empty() ? code : reason);
  }
  log(is_our_fault(status) ? LogLevel::kWarning : LogLevel::kDebug, "call",
      {{"method", method},
       {"code", code},
       {"ms", seconds * 1e3},
       {"tenant", caller.ok() ? caller->tenant_id : std::string()},
       {"key", caller.ok() ? caller->principal : std::string()},
       {"err", std::string(status.message())}});
}

}  // namespace espalier::coordinator
