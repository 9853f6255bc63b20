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
  v1::TrainingSpec spec;  // defaults filled in
  v1::Priority priority = v1::PRIORITY_NORMAL;
  int expected_objects = 0;   // in the source, as far as the client knew; 0: not known
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

enum class TaskKind {
  kPreparation = 0,  // of a whole source, or of one shard of it
  kMerge = 1,        // joins the shards' parts
  kTraining = 2,     // of one denoiser
};

enum class MemberState {
  kReserved = 0,  // its slot is kept; it is told what to do when member 0 listens
  kAssigned = 1,
  kJoined = 2,  // has reported task_started
};

// One worker's slot in a running attempt. A task that runs alone has one, member 0.
struct MemberRecord {
  int member = 0;
  std::string worker_id;
  MemberState state = MemberState::kAssigned;
};

// One unit that is started as a whole: a preparation, a shard of it, the merge of shards, or the training of one
// denoiser by one or several ranks.
struct TaskRecord {
  long long number = 0;
  std::string id;
  std::string job_id;
  std::string tenant_id;
  TaskKind kind = TaskKind::kPreparation;
  v1::Denoiser denoiser = v1::DENOISER_UNSPECIFIED;  // of a training
  int shard = 0;                                     // of a preparation
  int shards = 1;
  int ranks = 1;     // wanted
  int position = 0;  // within the job: 0 is the preparation; then the denoisers in request order
  v1::StageState state = v1::STAGE_STATE_PENDING;
  int attempt = 0;   // of the newest lease; 0: none yet
  int failures = 0;  // attempts that count against the limit
  long long fencing_token = 0;
  int world_size = 1;                 // members that the newest attempt began with
  int master_port = 0;                // of a gang whose member 0 listens
  long long rendezvous_until_us = 0;  // every member must have joined by then; 0: they have
  std::string worker_id;              // of member 0 of the newest attempt
  long long not_before_us = 0;        // earliest next attempt
  std::string checkpoint_artefact_id;
  int checkpoint_step = 0;
  std::string output_artefact_id;     // the part that a shard has made
  v1::PreparationStatus preparation;  // progress of a preparation
  v1::DenoiserStatus training;        // progress of a training
  std::string error;                  // of the last attempt
  std::vector<MemberRecord> members;  // of a running attempt: those that have not ended

  // Belongs to the preparation of its job: the whole, a shard, or the merge.
  bool is_preparation() const { return kind != TaskKind::kTraining; }
  bool is_shard() const { return kind == TaskKind::kPreparation && shards > 1; }
};

struct ArtefactRecord {
  long long number = 0;  // order of creation
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
v1::TaskLease lease_of(const TaskRecord& task, int member = 0);

}  // namespace espalier::coordinator
