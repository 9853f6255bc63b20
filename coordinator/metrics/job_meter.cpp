#include "coordinator/metrics/job_meter.h"

#include <soci/soci.h>

#include <algorithm>
#include <utility>

#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr int kEventsPerRead = 1000;

double seconds_between(long long from_us, long long to_us) { return static_cast<double>(to_us - from_us) / 1e6; }

}  // namespace

Status JobMeter::start() {
  const std::lock_guard lock(mutex_);
  return database_.transaction([&](soci::session& sql) -> Status {
    std::string id;
    Seen seen;
    long long start_us = 0;
    soci::statement statement =
        (sql.prepare << "SELECT id, last_sequence, create_us, start_us FROM jobs WHERE end_us = 0", soci::into(id),
         soci::into(seen.sequence), soci::into(seen.create_us), soci::into(start_us));
    statement.execute();
    while (statement.fetch()) {
      seen.started = start_us > 0;
      seen_[id] = seen;
    }
    for (auto& [job_id, known] : seen_) {
      if (known.started) ESP_TRY(read_progress(sql, job_id, known));
    }
    sql << "SELECT COALESCE(MAX(number), 0) FROM jobs", soci::into(last_number_);
    return absl::OkStatus();
  });
}

Status JobMeter::find_new() {
  return database_.transaction([&](soci::session& sql) -> Status {
    std::string id;
    long long number = 0;
    soci::statement statement = (sql.prepare << "SELECT number, id FROM jobs WHERE number > :last ORDER BY number",
                                 soci::into(number), soci::into(id), soci::use(last_number_));
    statement.execute();
    while (statement.fetch()) {
      changed(id);
      last_number_ = number;
    }
    return absl::OkStatus();
  });
}

Status JobMeter::read_progress(soci::session& sql, const std::string& job_id, Seen& seen) {
  ESP_ASSIGN(const auto tasks, TaskRepository(sql).of_job(job_id));
  for (const TaskRecord& task : tasks) {
    if (task.kind == TaskKind::kPreparation)
      seen.prepared += task.preparation.objects_done() - task.preparation.objects_skipped();
    else if (task.kind == TaskKind::kTraining)
      seen.steps[task.denoiser] = task.training.step();
  }
  return absl::OkStatus();
}

void JobMeter::changed(const std::string& job_id) {
  const std::lock_guard lock(dirty_mutex_);
  dirty_.insert(job_id);
}

Status JobMeter::update() {
  const std::lock_guard lock(mutex_);
  ESP_TRY(find_new());
  std::set<std::string> dirty;
  {
    const std::lock_guard dirty_lock(dirty_mutex_);
    dirty.swap(dirty_);
  }
  for (const std::string& job_id : dirty) {
    bool ended = false;
    ESP_TRY(update_job(job_id, seen_[job_id], ended));
    if (ended) seen_.erase(job_id);
  }
  return absl::OkStatus();
}

Status JobMeter::update_job(const std::string& job_id, Seen& seen, bool& ended) {
  while (true) {
    ESP_ASSIGN(const auto events, database_.transaction([&](soci::session& sql) {
      return EventRepository(sql).after(job_id, seen.sequence, kEventsPerRead);
    }));
    for (const v1::JobEvent& event : events) {
      count(event, seen);
      seen.sequence = event.sequence();
      ended = ended || (event.has_state_changed() && is_final(event.state_changed().state()));
    }
    if (events.size() < static_cast<size_t>(kEventsPerRead)) return absl::OkStatus();
  }
}

void JobMeter::count(const v1::JobEvent& event, Seen& seen) {
  switch (event.event_case()) {
    case v1::JobEvent::kStateChanged:
      return count_state(event, seen);
    case v1::JobEvent::kStageChanged:
      if (!event.stage_changed().error().empty()) meter_.attempt_failed(event.stage_changed().denoiser());
      return;
    case v1::JobEvent::kTrainingProgress:
      return count_steps(event.training_progress(), seen);
    case v1::JobEvent::kPreparationProgress: {
      const auto& progress = event.preparation_progress();
      const int fresh = progress.done() - progress.skipped() - seen.prepared;
      if (fresh <= 0) return;
      meter_.objects_prepared(fresh);
      seen.prepared += fresh;
      return;
    }
    case v1::JobEvent::kObjectFailed:
      return meter_.object_failed();
    default:
      return;
  }
}

void JobMeter::count_state(const v1::JobEvent& event, Seen& seen) {
  const v1::JobState state = event.state_changed().state();
  const long long now_us = to_micros(event.time());
  if (state == v1::JOB_STATE_QUEUED) {
    seen.create_us = now_us;
    return meter_.job_submitted();
  }
  if (is_final(state)) return meter_.job_ended(state, seconds_between(seen.create_us, now_us));
  if (seen.started || state == v1::JOB_STATE_CANCELLING) return;
  seen.started = true;
  meter_.job_started(seconds_between(seen.create_us, now_us));
}

void JobMeter::count_steps(const v1::TrainingProgress& progress, Seen& seen) {
  int& known = seen.steps[progress.denoiser()];
  const int fresh = progress.step() - known;
  if (fresh <= 0) return;
  meter_.steps_done(progress.denoiser(), fresh, progress.seconds_per_step());
  known = progress.step();
}

}  // namespace espalier::coordinator
