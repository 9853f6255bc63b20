#pragma once

#include <prometheus/collectable.h>

#include <vector>

#include "coordinator/clock.h"
#include "coordinator/metrics/job_meter.h"
#include "coordinator/metrics/worker_board.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Metrics that are the state of the system at the moment of a scrape, read from the database and the worker board.
// Thread-safe. A scrape that cannot read tells espalier_scrape_errors 1 and leaves the rest out.
class StateCollector final : public prometheus::Collectable {
 public:
  // All must outlive it.
  StateCollector(Database& database, const Clock& clock, JobMeter& jobs, const WorkerBoard& workers)
      : database_(database), clock_(clock), jobs_(jobs), workers_(workers) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  Status read(std::vector<prometheus::MetricFamily>& out) const;

  Database& database_;
  const Clock& clock_;
  JobMeter& jobs_;
  const WorkerBoard& workers_;
};

}  // namespace espalier::coordinator
