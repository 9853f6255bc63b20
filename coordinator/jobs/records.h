#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "billing/price_list.h"
#include "espalier/v1/jobs.pb.h"
#include "espalier/v1/worker.pb.h"

// Rows of the database, as the rest of the coordinator sees them. Times are microseconds since 1970, 0 = not yet.
namespace espalier::coordinator {

// The one tenant until there are keys.
inline constexpr const char* kLocalTenant = "local";

struct JobRecord {
  long long number = 0;  // order of submission
  std::string id;
  std::string tenant_id;
  std::string request_id;
  std::string request_sha256;  // of the request's content: tells a repeat from a conflict
  std::string name;
  v1::JobState state = v1::JOB_STATE_QUEUED;
  v1::TrainingSpec spec;      // defaults filled in
  billing::PriceList prices;  // frozen at submit
  v1::Cost estimate;
  v1::Cost cost;           // set when the job has ended
  std::string dataset_id;  // given, or made by the preparation
  std::string error;
  std::vector<std::string> warnings;
  long long create_us = 0;
  long long start_us = 0;
  long long end_us = 0;
  long long last_sequence = 0;      // of events
  long long last_log_sequence = 0;  // of log lines
};

// One unit that a worker runs: the preparation of a job (denoiser UNSPECIFIED) or the training of one denoiser.
struct TaskRecord {
  long long number = 0;
  std::string id;
  std::string job_id;
  std::string tenant_id;
  v1::Denoiser denoiser = v1::DENOISER_UNSPECIFIED;
  int position = 0;  // 0: preparation; then the denoisers in request order
  v1::StageState state = v1::STAGE_STATE_PENDING;
  int attempt = 0;   // of the newest lease; 0: none yet
  int failures = 0;  // attempts that count against the limit
  long long fencing_token = 0;
  std::string worker_id;  // of the newest lease
  long long lease_until_us = 0;
  long long not_before_us = 0;  // earliest next attempt
  std::string checkpoint_artefact_id;
  int checkpoint_step = 0;
  v1::PreparationStatus preparation;  // progress of a preparation
  v1::DenoiserStatus training;        // progress of a training
  std::string error;                  // of the last attempt

  bool is_preparation() const { return denoiser == v1::DENOISER_UNSPECIFIED; }
};

struct ArtefactRecord {
  std::string id;
  std::string tenant_id;
  std::string job_id;
  v1::ArtefactKind kind = v1::ARTEFACT_KIND_UNSPECIFIED;
  std::string file_name;
  std::string content_type;
  long long size_bytes = 0;
  std::string sha256;
  long long create_us = 0;
};

struct WorkerRecord {
  std::string id;
  long long epoch = 0;
  long long acked_seq = 0;  // newest committed report of this epoch
  std::string host;
  std::string version;
  long long seen_us = 0;
};

v1::Artefact to_proto(const ArtefactRecord& record);
v1::TaskLease lease_of(const TaskRecord& task);

}  // namespace espalier::coordinator
