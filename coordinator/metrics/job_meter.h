#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "common/status.h"
#include "coordinator/metrics/meter.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Counts what happens to jobs, from their committed events: what was rolled back is never counted, and nothing that
// changes jobs has to think of metrics. Thread-safe.
class JobMeter {
 public:
  // Both must outlive it.
  JobMeter(Database& database, Meter& meter) : database_(database), meter_(meter) {}

  // Call once after a start: what happened before is not counted again.
  Status start();
  // Events of this job were committed. Cheap; they are read by the next update(), which finds new jobs by itself.
  void changed(const std::string& job_id);
  // Counts the events that came since the last call.
  Status update();

 private:
  // What the next event of a job is compared with.
  struct Seen {
    long long sequence = 0;
    long long create_us = 0;
    bool started = false;
    std::map<v1::Denoiser, int> steps;  // highest step so far: a resumed attempt repeats some
    int prepared = 0;                   // highest count so far, for the same reason
  };
  Status find_new();
  static Status read_progress(soci::session& sql, const std::string& job_id, Seen& seen);
  Status update_job(const std::string& job_id, Seen& seen, bool& ended);
  void count(const v1::JobEvent& event, Seen& seen);
  void count_state(const v1::JobEvent& event, Seen& seen);
  void count_steps(const v1::TrainingProgress& progress, Seen& seen);

  Database& database_;
  Meter& meter_;
  std::mutex dirty_mutex_;  // guards dirty_
  std::set<std::string> dirty_;
  std::mutex mutex_;                  // one update at a time; guards the two below
  long long last_number_ = 0;         // of jobs
  std::map<std::string, Seen> seen_;  // of jobs that have not ended
};

}  // namespace espalier::coordinator
