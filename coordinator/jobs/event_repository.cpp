#include "coordinator/jobs/event_repository.h"

#include <soci/soci.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {

using soci::into;
using soci::use;

void EventRepository::append(JobRecord& job, v1::JobEvent event, long long now_us) {
  event.set_job_id(job.id);
  event.set_sequence(++job.last_sequence);
  *event.mutable_time() = to_timestamp(now_us);
  const std::string json = to_json(event);
  sql_ << "INSERT INTO events (job_id, sequence, event_json) VALUES (:job, :sequence, :event)", use(job.id),
      use(job.last_sequence), use(json);
}

Result<std::vector<v1::JobEvent>> EventRepository::after(const std::string& job_id, long long sequence, int limit) {
  std::string json;
  soci::statement statement =
      (sql_.prepare << "SELECT event_json FROM events WHERE job_id = :job AND sequence > :sequence ORDER BY sequence "
                       "LIMIT :limit",
       into(json), use(job_id), use(sequence), use(limit));
  statement.execute();
  std::vector<v1::JobEvent> events;
  while (statement.fetch()) ESP_TRY(parse_json(json, &events.emplace_back()));
  return events;
}

void EventRepository::append_log(JobRecord& job, const v1::LogLine& line) {
  const long long sequence = ++job.last_log_sequence;
  const long long time_us = to_micros(line.time());
  const int severity = line.severity(), denoiser = line.denoiser(), attempt = line.attempt();
  sql_ << "INSERT INTO logs (job_id, sequence, time_us, severity, denoiser, attempt, text) VALUES (:job, :sequence, "
          ":time, :severity, :denoiser, :attempt, :text)",
      use(job.id), use(sequence), use(time_us), use(severity), use(denoiser), use(attempt), use(line.text());
  const long long oldest = sequence - kKeptLogLines;
  if (oldest > 0) sql_ << "DELETE FROM logs WHERE job_id = :job AND sequence <= :oldest", use(job.id), use(oldest);
}

std::vector<v1::LogLine> EventRepository::logs_after(const std::string& job_id, long long sequence, int limit) {
  long long number = 0, time_us = 0;
  int severity = 0, denoiser = 0, attempt = 0;
  std::string text;
  soci::statement statement =
      (sql_.prepare << "SELECT sequence, time_us, severity, denoiser, attempt, text FROM logs WHERE job_id = :job AND "
                       "sequence > :sequence ORDER BY sequence LIMIT :limit",
       into(number), into(time_us), into(severity), into(denoiser), into(attempt), into(text), use(job_id),
       use(sequence), use(limit));
  statement.execute();
  std::vector<v1::LogLine> lines;
  while (statement.fetch()) {
    v1::LogLine& line = lines.emplace_back();
    line.set_sequence(number);
    *line.mutable_time() = to_timestamp(time_us);
    line.set_severity(static_cast<v1::LogSeverity>(severity));
    line.set_denoiser(static_cast<v1::Denoiser>(denoiser));
    line.set_attempt(attempt);
    line.set_text(text);
  }
  return lines;
}

void EventRepository::put_metric(const std::string& task_id, const v1::MetricPoint& point) {
  const int step = point.step();
  const double loss = point.loss(), rate = point.learning_rate(), norm = point.grad_norm();
  const double seconds = point.seconds_per_step();
  sql_ << "INSERT INTO metrics (task_id, step, loss, learning_rate, grad_norm, seconds_per_step) VALUES (:task, :step, "
          ":loss, :rate, :norm, :seconds) ON CONFLICT (task_id, step) DO UPDATE SET loss = excluded.loss, "
          "learning_rate = excluded.learning_rate, grad_norm = excluded.grad_norm, "
          "seconds_per_step = excluded.seconds_per_step",
      use(task_id), use(step), use(loss), use(rate), use(norm), use(seconds);
}

std::vector<v1::MetricPoint> EventRepository::metrics(const std::string& task_id) {
  int step = 0;
  double loss = 0, rate = 0, norm = 0, seconds = 0;
  soci::statement statement =
      (sql_.prepare << "SELECT step, loss, learning_rate, grad_norm, seconds_per_step FROM metrics WHERE task_id = "
                       ":task ORDER BY step",
       into(step), into(loss), into(rate), into(norm), into(seconds), use(task_id));
  statement.execute();
  std::vector<v1::MetricPoint> points;
  while (statement.fetch()) {
    v1::MetricPoint& point = points.emplace_back();
    point.set_step(step);
    point.set_loss(loss);
    point.set_learning_rate(rate);
    point.set_grad_norm(norm);
    point.set_seconds_per_step(seconds);
  }
  return points;
}

std::vector<v1::MetricPoint> thin(const std::vector<v1::MetricPoint>& points, size_t max_points) {
  if (points.size() <= max_points) return points;
  if (max_points < 4) return {points.begin(), points.begin() + static_cast<std::ptrdiff_t>(max_points)};
  const size_t groups = (max_points - 2) / 2;
  const size_t inner = points.size() - 2;
  const auto less = [](const v1::MetricPoint& a, const v1::MetricPoint& b) { return a.loss() < b.loss(); };
  std::vector<v1::MetricPoint> kept = {points.front()};
  for (size_t group = 0; group < groups; ++group) {
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(1 + group * inner / groups);
    const auto last = points.begin() + static_cast<std::ptrdiff_t>(1 + (group + 1) * inner / groups);
    auto [low, high] = std::minmax_element(first, last, less);
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (low != high) kept.push_back(*high);
  }
  kept.push_back(points.back());
  return kept;
}

}  // namespace espalier::coordinator
