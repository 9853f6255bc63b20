#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "espalier/v1/billing.pb.h"
#include "espalier/v1/common.pb.h"
#include "espalier/v1/jobs.pb.h"

namespace prometheus {
class Registry;
}

namespace espalier::coordinator {

// What the coordinator counts as it happens, in Prometheus' terms; docs/operations.md has the table of names. What can
// be read from the database at any time is not counted here (state_collector.h). No label names a job or a tenant, so
// the number of series is bounded. Counters begin at zero with the process. Thread-safe.
class Meter {
 public:
  Meter();
  ~Meter();

  // A finished call: "JobService", "SubmitJob", its status code's name ("OK", "NOT_FOUND").
  void call_handled(const std::string& service, const std::string& method, const std::string& code, double seconds);
  void auth_failed(const std::string& reason);  // KEY_INVALID, ROLE_INSUFFICIENT, …

  void job_submitted();
  void job_started(double waited_seconds);
  void job_ended(v1::JobState state, double seconds);  // since its submission
  void attempt_failed(v1::Denoiser denoiser);          // UNSPECIFIED: of a preparation
  void steps_done(v1::Denoiser denoiser, int64_t steps, double seconds_per_step);
  void objects_prepared(int64_t count);
  void object_failed();
  void booked(v1::LedgerKind kind, int64_t nanos);  // moved by a transaction of the ledger

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  struct Families;
  std::shared_ptr<prometheus::Registry> registry_;
  std::unique_ptr<Families> families_;
};

}  // namespace espalier::coordinator
