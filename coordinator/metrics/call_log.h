#pragma once

#include <string>

#include "common/status.h"
#include "coordinator/metrics/meter.h"
#include "coordinator/tenants/caller.h"

namespace espalier::coordinator {

// What is told of every call that has ended: a log line (debug; warning for errors of ours) and the metrics.
// Thread-safe.
class CallLog {
 public:
  // `meter` must outlive it.
  explicit CallLog(Meter& meter) : meter_(meter) {}

  // `method`: "JobService.GetJob". `caller`: who made the call, or why it was refused; `status`: how it ended.
  void handled(const std::string& method, const Result<Caller>& caller, const Status& status, double seconds);

 private:
  Meter& meter_;
};

}  // namespace espalier::coordinator
