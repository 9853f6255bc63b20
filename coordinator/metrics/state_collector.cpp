#include "coordinator/metrics/state_collector.h"

#include <prometheus/metric_family.h>
#include <soci/soci.h>

#include <algorithm>

#include "common/log.h"
#include "coordinator/names.h"

namespace espalier::coordinator {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily& add_family(std::vector<MetricFamily>& out, const char* name, const char* help,
                         MetricType type = MetricType::Gauge) {
  return out.emplace_back(MetricFamily{name, help, type, {}});
}

void add(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

// One sample for each row (number of a kind, value) of `query`.
template <class Name>
void add_rows(soci::session& sql, const char* query, const char* label, Name name_of, MetricFamily& family) {
  int kind = 0;
  double value = 0;
  soci::statement statement = (sql.prepare << query, soci::into(kind), soci::into(value));
  statement.execute();
  while (statement.fetch()) add(family, {{label, name_of(kind)}}, value);
}

void read_jobs(soci::session& sql, std::vector<MetricFamily>& out) {
  add_rows(
      sql, "SELECT state, COUNT(*) FROM jobs WHERE delete_us = 0 GROUP BY state", "state",
      [](int state) { return state_name(static_cast<v1::JobState>(state)); },
      add_family(out, "espalier_jobs", "Jobs that are kept, by state."));
  add_rows(
      sql,
      "SELECT jobs.priority, COUNT(*) FROM tasks JOIN jobs ON jobs.id = tasks.job_id WHERE tasks.state = 2 "
      "GROUP BY jobs.priority",
      "priority", [](int priority) { return priority_name(static_cast<v1::Priority>(priority)); },
      add_family(out, "espalier_queue_depth", "Tasks that are ready and wait for a worker, by priority."));
}

void read_storage(soci::session& sql, std::vector<MetricFamily>& out) {
  add_rows(
      sql, "SELECT kind, SUM(size_bytes) FROM artefacts GROUP BY kind", "kind",
      [](int kind) { return kind_name(static_cast<v1::ArtefactKind>(kind)); },
      add_family(out, "espalier_blob_bytes", "Bytes of all artefacts, by kind."));
}

void read_ledger(soci::session& sql, std::vector<MetricFamily>& out) {
  double imbalance = 0;
  sql << "SELECT COALESCE(SUM(ABS(available + held + revenue + grants + adjustments)), 0) FROM ledger_balances",
      soci::into(imbalance);
  add(add_family(out, "espalier_ledger_imbalance_nanos",
                 "Over all tenants, how far the accounts are from a sum of 0. "
                 "Anything but 0 is a fault."),
      {}, imbalance);
}

void read_workers(const std::vector<WorkerView>& workers, long long now_us, std::vector<MetricFamily>& out) {
  double ready = 0, draining = 0, slots = 0, busy = 0, oldest = 0;
  for (const WorkerView& worker : workers) {
    (worker.draining ? draining : ready) += 1;
    slots += worker.slots;
    busy += worker.busy;
    oldest = std::max(oldest, static_cast<double>(now_us - worker.heard_us) / 1e6);
  }
  MetricFamily& states = add_family(out, "espalier_workers", "Attached workers, by state.");
  add(states, {{"state", "ready"}}, ready);
  add(states, {{"state", "draining"}}, draining);
  MetricFamily& used = add_family(out, "espalier_worker_slots", "Slots of attached workers, by use.");
  add(used, {{"use", "busy"}}, busy);
  add(used, {{"use", "free"}}, slots - busy);
  add(add_family(out, "espalier_worker_heartbeat_age_seconds",
                 "Since the attached worker that is silent the longest "
                 "was heard; 0 without workers."),
      {}, oldest);
}

}  // namespace

std::vector<MetricFamily> StateCollector::Collect() const {
  std::vector<MetricFamily> out;
  const Status status = read(out);
  if (!status.ok()) {
    log_warning("metrics not read", {{"err", status.ToString()}});
    out.clear();
  }
  add(add_family(out, "espalier_scrape_errors", "1 when the state could not be read for this scrape."), {},
      status.ok() ? 0 : 1);
  return out;
}

Status StateCollector::read(std::vector<MetricFamily>& out) const {
  ESP_TRY(before_());
  read_workers(workers_.workers(), clock_.now_us(), out);
  return database_.transaction([&](soci::session& sql) -> Status {
    read_jobs(sql, out);
    read_storage(sql, out);
    read_ledger(sql, out);
    return absl::OkStatus();
  });
}

}  // namespace espalier::coordinator
