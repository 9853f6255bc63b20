#pragma once

#include <optional>
#include <string>
#include <vector>

#include "billing/price_list.h"
#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"
#include "coordinator/jobs/records.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// What JobService does, without gRPC. Every call is for one tenant and sees nothing of others. Thread-safe. Errors and
// idempotency as jobs.proto documents.
class JobDesk {
 public:
  struct Parts {  // all must outlive the desk
    Database& database;
    Scheduler& scheduler;
    const Clock& clock;
  };
  JobDesk(Parts parts, BaseConfig base, LeaseConfig leases, billing::PriceList prices)
      : parts_(parts), base_(std::move(base)), leases_(std::move(leases)), prices_(std::move(prices)) {}

  Result<v1::SubmitJobResponse> submit(const std::string& tenant_id, v1::SubmitJobRequest request);
  Result<v1::Job> job(const std::string& tenant_id, const std::string& job_id);
  Result<v1::ListJobsResponse> list(const std::string& tenant_id, const v1::ListJobsRequest& request);
  Result<v1::Job> cancel(const std::string& tenant_id, const std::string& job_id);
  Result<v1::EstimateJobResponse> estimate(const v1::EstimateJobRequest& request) const;

  // A piece of a job's history and whether more can come.
  template <class Item>
  struct Tail {
    std::vector<Item> items;
    bool ended = false;  // the job has ended and these are the last items
  };
  Result<Tail<v1::JobEvent>> events(const std::string& tenant_id, const std::string& job_id, long long after);
  Result<Tail<v1::LogLine>> logs(const std::string& tenant_id, const std::string& job_id, long long after, int limit);
  Result<std::vector<v1::MetricPoint>> metrics(const std::string& tenant_id, const v1::ListJobMetricsRequest& request);

 private:
  Result<v1::SubmitJobResponse> submit_checked(soci::session& sql, const std::string& tenant_id,
                                               const v1::SubmitJobRequest& request, const std::string& digest,
                                               const Status& room, std::optional<WorkChange>& change);
  struct Source {
    v1::Dataset dataset;    // that the job starts from; without an id when it has to prepare
    bool prepared = false;  // there is nothing to prepare; what a client uploads is only known once it is unpacked
  };
  Result<Source> check_source(soci::session& sql, const std::string& tenant_id, const v1::TrainingSpec& spec);
  void add_waiting_reason(v1::Job& job);

  const Parts parts_;
  const BaseConfig base_;
  const LeaseConfig leases_;
  const billing::PriceList prices_;
};

}  // namespace espalier::coordinator
