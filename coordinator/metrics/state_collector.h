#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <string>
#include <vector>

#include "coordinator/clock.h"
#include "coordinator/metrics/job_meter.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// One attached worker, as far as metrics tell of it.
struct WorkerView {
  bool draining = false;
  int slots = 0;
  int busy = 0;            // slots in use
  long long heard_us = 0;  // of its newest message
};

// Metrics that are the state of the system at the moment of a scrape, read from the database and the scheduler.
// Thread-safe. A scrape that cannot read tells espalier_scrape_errors 1 and leaves the rest out.
class StateCollector final : public prometheus::Collectable {
 public:
  using Workers = std::function<std::vector<WorkerView>()>;
  // All must outlive it.
  StateCollector(Database& database, const Clock& clock, JobMeter& jobs, Workers workers)
      : database_(database), clock_(clock), jobs_(jobs), workers_(std::move(workers)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  Status read(std::vector<prometheus::MetricFamily>& out) const;

  Database& database_;
  const Clock& clock_;
  JobMeter& jobs_;
  const Workers workers_;
};

}  // namespace espalier::coordinator
