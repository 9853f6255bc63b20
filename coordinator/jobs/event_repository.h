#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Events, log lines and metrics of jobs in the open transaction of `sql`.
class EventRepository {
 public:
  static constexpr int kKeptLogLines = 10'000;

  explicit EventRepository(soci::session& sql) : sql_(sql) {}

  // Gives the event the job's next sequence. The caller updates `job` afterwards.
  void append(JobRecord& job, v1::JobEvent event, long long now_us);
  Result<std::vector<v1::JobEvent>> after(const std::string& job_id, long long sequence, int limit);

  // Gives the line the next sequence and drops what is older than the last kKeptLogLines. The caller updates `job`.
  void append_log(JobRecord& job, const v1::LogLine& line);
  std::vector<v1::LogLine> logs_after(const std::string& job_id, long long sequence, int limit);

  // A repeated step replaces the earlier point (a resumed attempt goes over some steps again).
  void put_metric(const std::string& task_id, const v1::MetricPoint& point);
  std::vector<v1::MetricPoint> metrics(const std::string& task_id);

 private:
  soci::session& sql_;
};

// At most `max_points` of `points`, first and last always kept; of each group the point with the smallest and the one
// with the greatest loss, so that peaks stay visible.
std::vector<v1::MetricPoint> thin(const std::vector<v1::MetricPoint>& points, size_t max_points);

}  // namespace espalier::coordinator
