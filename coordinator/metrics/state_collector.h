#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/metrics/worker_board.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Metrics that are the state of the system at the moment of a scrape, read from the database and the worker board.
// Thread-safe. A scrape that cannot read tells espalier_scrape_errors 1 and leaves the rest out.
class StateCollector final : public prometheus::Collectable {
 public:
  // `before` runs first at each scrape. All must outlive it.
  StateCollector(Database& database, const Clock& clock, const WorkerBoard& workers, std::function<Status()> before)
      : database_(database), clock_(clock), workers_(workers), before_(std::move(before)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  Status read(std::vector<prometheus::MetricFamily>& out) const;

  Database& database_;
  const Clock& clock_;
  const WorkerBoard& workers_;
  const std::function<Status()> before_;
};

}  // namespace espalier::coordinator
