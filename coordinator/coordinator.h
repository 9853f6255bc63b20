#pragma once

#include <memory>
#include <string>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"

namespace espalier::coordinator {

// A whole running coordinator: database, artefacts, scheduler and the gRPC services in front of them. All its state is
// in config.data_dir, so it may be killed at any time and started again. Thread-safe.
class Coordinator {
 public:
  // Recovers what an earlier run left in the data folder and serves. `clock` must outlive the coordinator.
  // UNAVAILABLE: the port is taken, or another coordinator uses the data folder. Others as of the configuration.
  static Result<std::unique_ptr<Coordinator>> start(const CoordinatorConfig& config, const Clock& clock);
  // As stop().
  ~Coordinator();

  // HOST:PORT that the services listen on.
  const std::string& address() const;
  // HOST:PORT of the metrics endpoint; empty without one.
  std::string metrics_address() const;

  // Ends the streams, waits for running calls up to the configured grace, then stops. Running tasks go on at their
  // workers, which attach again after the next start. Idempotent.
  void stop();

 private:
  Coordinator();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Serves until SIGINT or SIGTERM. Call before any other thread exists. Prints the address to stdout.
Status run_coordinator(const CoordinatorConfig& config);

}  // namespace espalier::coordinator
