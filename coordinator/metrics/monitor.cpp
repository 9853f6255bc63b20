#include "coordinator/metrics/monitor.h"

#include <prometheus/registry.h>

#include "common/log.h"
#include "coordinator/metrics/endpoint.h"
#include "coordinator/metrics/state_collector.h"

namespace espalier::coordinator {

Monitor::Monitor(Database& database, const Clock& clock)
    : database_(database),
      clock_(clock),
      calls_(meter_),
      jobs_(database, meter_),
      ledger_(database, meter_),
      workers_(clock) {}

Monitor::~Monitor() = default;

Status Monitor::serve(const std::string& listen) {
  ESP_TRY(jobs_.start());
  ESP_TRY(ledger_.start());
  // The state first: reading it also brings the counters up to date.
  const auto state = std::make_shared<StateCollector>(database_, clock_, workers_, [this] { return count(); });
  ESP_ASSIGN(endpoint_, MetricsEndpoint::start(listen, {state, meter_.registry()}));
  return absl::OkStatus();
}

std::string Monitor::address() const { return endpoint_ ? endpoint_->address() : ""; }

void Monitor::job_changed(const std::string& job_id) {
  if (endpoint_) jobs_.changed(job_id);
}

Status Monitor::count() {
  ESP_TRY(jobs_.update());
  return ledger_.update();
}

void Monitor::update() {
  if (!endpoint_) return;
  const Status status = count();
  if (!status.ok()) log_warning("metrics not updated", {{"err", status.ToString()}});
}

}  // namespace espalier::coordinator
