#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "espalier/v1/jobs.pb.h"

// What a scenario does, drawn from its seed alone.
namespace espalier::faults {

// What the programs of a task do in every attempt.
enum class Fate { kSucceeds, kFailsForGood, kAlwaysFails };

struct PlannedJob {
  int tenant = 0;
  v1::SubmitJobRequest request;  // without its source; spec.seed is the place in Plan::jobs, so that workers know it
  enum class Source { kArchive, kDatasetById, kDatasetByZip } source = Source::kArchive;
  int archive = 0;   // place in Plan::archives
  int earlier = -1;  // the job whose dataset is the source
  Fate preparation = Fate::kSucceeds;
  std::map<int, Fate> training;  // by denoiser
  int submit_after_ms = 0;
  int submits = 1;  // the same request, so many at once
  std::optional<int> cancel_after_ms;
};

struct PlannedFault {
  enum class Kind { kKillCoordinator, kKillWorker, kLoseWorker, kStopWorker, kDropStream, kHangWorker };
  Kind kind = Kind::kKillCoordinator;
  int after_ms = 0;
  int worker = 0;
  int duration_ms = 0;  // until the restart; of a hang
};

struct PlannedWorker {
  int slots = 1;
  bool keeps_disk = true;  // its checkpoints are still there after a restart
  // Chances per report, upload and piece of work.
  double duplicated = 0, swapped = 0, cut = 0, child_failure = 0;
};

struct Plan {
  uint64_t seed = 0;
  int tenants = 1;
  std::vector<std::string> archives;
  std::vector<PlannedJob> jobs;
  std::vector<PlannedWorker> workers;   // the first is never lost for good
  std::vector<PlannedFault> faults;     // by time
  std::vector<std::string> failpoints;  // of the coordinator's first, second, … life; none afterwards
  int spare_failures = 0;               // attempts that may fail by chance, all tasks together
};

Plan draw_plan(uint64_t seed);
std::string describe(const Plan& plan);

// Failures that a task of these plans survives. More than all faults of a plan together can cause.
inline constexpr int kMaxAttempts = 14;
// Of the scenario's coordinator: a worker that was silent for longer has lost its tasks.
inline constexpr std::chrono::milliseconds kLease{2000};

}  // namespace espalier::faults
