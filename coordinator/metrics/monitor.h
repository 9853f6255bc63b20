#pragma once

#include <memory>
#include <string>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/metrics/call_log.h"
#include "coordinator/metrics/job_meter.h"
#include "coordinator/metrics/ledger_meter.h"
#include "coordinator/metrics/meter.h"
#include "coordinator/metrics/worker_board.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

class MetricsEndpoint;

// All metrics of a coordinator and the endpoint that shows them. Thread-safe.
class Monitor {
 public:
  // Both must outlive it.
  Monitor(Database& database, const Clock& clock);
  ~Monitor();

  // Serves at `listen`. Call before anything changes. Errors as MetricsEndpoint::start.
  Status serve(const std::string& listen);
  std::string address() const;  // HOST:PORT of the endpoint; empty without one

  CallLog& calls() { return calls_; }
  WorkerBoard& workers() { return workers_; }
  // As JobMeter; nothing is kept without an endpoint.
  void job_changed(const std::string& job_id);
  void update();

 private:
  Status count();

  Database& database_;
  const Clock& clock_;
  Meter meter_;
  CallLog calls_;
  JobMeter jobs_;
  LedgerMeter ledger_;
  WorkerBoard workers_;
  std::unique_ptr<MetricsEndpoint> endpoint_;
};

}  // namespace espalier::coordinator
