#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/faults/connection.h"
#include "tests/faults/world.h"

namespace espalier::faults {

// What became of one planned job, as its tenant sees it.
struct JobOutcome {
  std::string job_id;  // empty: not submitted
  v1::Job job;         // as it ended
  bool ended = false;
  bool cancel_asked = false;
  std::map<int, std::string> adapters;  // bytes, by denoiser
  std::vector<std::string> events;      // "state FAILED", "adapter 2", … in order
};

// The tenants' side of a scenario: submits, cancels, watches and downloads through every fault, as the real client
// does. One thread per job calls run(); outcomes are read after all have returned.
class TenantClients {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  TenantClients(World& world, Deadline deadline)
      : world_(world), deadline_(deadline), outcomes_(world.plan.jobs.size()) {}

  void run(size_t job);
  const std::vector<JobOutcome>& outcomes() const { return outcomes_; }

 private:
  using Call = std::function<Status(const Connection&)>;
  // Calls until it succeeds, fails for good, or the scenario's time is over.
  Status persist(size_t job, const Call& call);
  Status submit(size_t job, v1::SubmitJobRequest request);
  Status submit_once(size_t job, const v1::SubmitJobRequest& request, std::string& job_id);
  Result<v1::SubmitJobRequest> with_source(size_t job);
  Result<std::string> upload_archive(size_t job, const std::string& bytes);
  // The dataset of an earlier job, as soon as it is there.
  Result<std::string> dataset_id_of(size_t job);
  Result<std::string> dataset_bytes(size_t job, const std::string& dataset_id);
  Status cancel(size_t job);
  Status watch(size_t job);
  Status watch_once(const Connection& connection, JobOutcome& outcome, int64_t& seen);
  Status download_adapters(size_t job);
  Result<v1::Job> get(size_t job, const std::string& job_id);

  World& world_;
  const Deadline deadline_;
  std::mutex mutex_;  // guards job ids while jobs wait for each other
  std::condition_variable submitted_;
  std::vector<JobOutcome> outcomes_;
};

}  // namespace espalier::faults
