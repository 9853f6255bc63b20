#include "coordinator/metrics/meter.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>

#include "common/version.h"
#include "coordinator/names.h"

namespace espalier::coordinator {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

const Buckets kCallSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};
const Buckets kWaitSeconds = {0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600};
const Buckets kJobSeconds = {10, 60, 300, 900, 1800, 3600, 2 * 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600};
const Buckets kStepSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

// A report seldom has more steps than a second holds; more would only repeat one value.
constexpr int64_t kMostSamples = 1000;

Family<Counter>& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Histogram>& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

std::string stage_name(v1::Denoiser denoiser) {
  return denoiser == v1::DENOISER_UNSPECIFIED ? "preparation" : denoiser_name(denoiser);
}

}  // namespace

struct Meter::Families {
  explicit Families(prometheus::Registry& r)
      : calls(counter(r, "espalier_grpc_server_handled_total", "Calls that have ended, by their status code.")),
        call_seconds(histogram(r, "espalier_grpc_server_handling_seconds",
                               "Time from a call's arrival to its end; streams live long.")),
        auth_failures(counter(r, "espalier_auth_failures_total", "Calls that were refused because of their key.")),
        submitted(counter(r, "espalier_jobs_submitted_total", "Jobs that were accepted.").Add({})),
        ended(counter(r, "espalier_jobs_ended_total", "Jobs that have ended, by their final state.")),
        wait(histogram(r, "espalier_queue_wait_seconds", "From a job's submission to the start of its first task.")
                 .Add({}, kWaitSeconds)),
        duration(histogram(r, "espalier_job_duration_seconds", "From a job's submission to its end.")),
        failures(counter(r, "espalier_task_attempts_failed_total", "Attempts of tasks that failed, by stage.")),
        steps(counter(r, "espalier_stage_steps_total", "Optimizer steps done, by denoiser.")),
        step_seconds(histogram(r, "espalier_stage_step_seconds", "Time of an optimizer step, by denoiser.")),
        objects(counter(r, "espalier_preprocess_objects_total", "Objects of preparations, by result.")),
        booked(counter(r, "espalier_billing_nanos_total", "Nano-dollars that the ledger moved, by kind.")) {}

  Family<Counter>& calls;
  Family<Histogram>& call_seconds;
  Family<Counter>& auth_failures;
  Counter& submitted;
  Family<Counter>& ended;
  Histogram& wait;
  Family<Histogram>& duration;
  Family<Counter>& failures;
  Family<Counter>& steps;
  Family<Histogram>& step_seconds;
  Family<Counter>& objects;
  Family<Counter>& booked;
};

Meter::Meter() : registry_(std::make_shared<prometheus::Registry>()) {
  families_ = std::make_unique<Families>(*registry_);
  prometheus::BuildGauge()
      .Name("espalier_build_info")
      .Help("Always 1; the label has the version.")
      .Register(*registry_)
      .Add({{"version", version()}})
      .Set(1);
}

Meter::~Meter() = default;

void Meter::call_handled(const std::string& service, const std::string& method, const std::string& code,
                         double seconds) {
  families_->calls.Add({{"service", service}, {"method", method}, {"code", code}}).Increment();
  families_->call_seconds.Add({{"service", service}, {"method", method}}, kCallSeconds).Observe(seconds);
}

void Meter::auth_failed(const std::string& reason) { families_->auth_failures.Add({{"reason", reason}}).Increment(); }

void Meter::job_submitted() { families_->submitted.Increment(); }

void Meter::job_started(double waited_seconds) { families_->wait.Observe(waited_seconds); }

void Meter::job_ended(v1::JobState state, double seconds) {
  const std::string name = state_name(state);
  families_->ended.Add({{"state", name}}).Increment();
  families_->duration.Add({{"state", name}}, kJobSeconds).Observe(seconds);
}

void Meter::attempt_failed(v1::Denoiser denoiser) {
  families_->failures.Add({{"stage", stage_name(denoiser)}}).Increment();
}

void Meter::steps_done(v1::Denoiser denoiser, int64_t steps, double seconds_per_step) {
  const prometheus::Labels labels = {{"denoiser", denoiser_name(denoiser)}};
  families_->steps.Add(labels).Increment(static_cast<double>(steps));
  Histogram& seconds = families_->step_seconds.Add(labels, kStepSeconds);
  for (int64_t i = 0; i < std::min(steps, kMostSamples); ++i) seconds.Observe(seconds_per_step);
}

void Meter::objects_prepared(int64_t count) {
  families_->objects.Add({{"result", "prepared"}}).Increment(static_cast<double>(count));
}

void Meter::booked(v1::LedgerKind kind, int64_t nanos) {
  families_->booked.Add({{"kind", kind_name(kind)}}).Increment(static_cast<double>(nanos));
}

void Meter::object_failed() { families_->objects.Add({{"result", "failed"}}).Increment(); }

}  // namespace espalier::coordinator
