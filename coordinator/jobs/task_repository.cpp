#include "coordinator/jobs/task_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr const char* kSelect =
    "SELECT t.number, t.id, t.job_id, t.tenant_id, t.denoiser, t.position, t.state, t.attempt, t.failures, "
    "t.fencing_token, t.worker_id, t.lease_until_us, t.not_before_us, t.checkpoint_artefact_id, t.checkpoint_step, "
    "t.progress_json, t.error FROM tasks t ";

struct Row {
  TaskRecord task;
  int denoiser = 0, state = 0;
  std::string progress;

  void bind(soci::statement& statement) {
    using soci::into;
    statement.exchange(into(task.number));
    for (std::string* text : {&task.id, &task.job_id, &task.tenant_id}) statement.exchange(into(*text));
    for (int* value : {&denoiser, &task.position, &state, &task.attempt, &task.failures}) {
      statement.exchange(into(*value));
    }
    statement.exchange(into(task.fencing_token));
    statement.exchange(into(task.worker_id));
    statement.exchange(into(task.lease_until_us));
    statement.exchange(into(task.not_before_us));
    statement.exchange(into(task.checkpoint_artefact_id));
    statement.exchange(into(task.checkpoint_step));
    statement.exchange(into(progress));
    statement.exchange(into(task.error));
  }

  Result<TaskRecord> decode() const {
    TaskRecord out = task;
    out.denoiser = static_cast<v1::Denoiser>(denoiser);
    out.state = static_cast<v1::StageState>(state);
    if (out.is_preparation())
      ESP_TRY(parse_json(progress, &out.preparation));
    else
      ESP_TRY(parse_json(progress, &out.training));
    return out;
  }
};

std::string progress_json(const TaskRecord& task) {
  return task.is_preparation() ? to_json(task.preparation) : to_json(task.training);
}

// Rows of kSelect + `rest`, whose one text parameter, if any, is `text`. Numbers in `rest` are ours: nothing to escape.
Result<std::vector<TaskRecord>> select(soci::session& sql, const std::string& rest, const std::string* text) {
  Row row;
  soci::statement statement(sql);
  row.bind(statement);
  if (text) statement.exchange(soci::use(*text));
  statement.alloc();
  statement.prepare(kSelect + rest);
  statement.define_and_bind();
  statement.execute();
  std::vector<TaskRecord> tasks;
  while (statement.fetch()) {
    ESP_ASSIGN(TaskRecord task, row.decode());
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace

void TaskRepository::insert(const TaskRecord& task) {
  using soci::use;
  const int denoiser = task.denoiser, state = task.state;
  const std::string progress = progress_json(task);
  sql_ << "INSERT INTO tasks (id, job_id, tenant_id, denoiser, position, state, attempt, failures, fencing_token, "
          "worker_id, lease_until_us, not_before_us, checkpoint_artefact_id, checkpoint_step, progress_json, error) "
          "VALUES (:id, :job, :tenant, :denoiser, :position, :state, :attempt, :failures, :token, :worker, :lease, "
          ":not_before, :checkpoint, :step, :progress, :error)",
      use(task.id), use(task.job_id), use(task.tenant_id), use(denoiser), use(task.position), use(state),
      use(task.attempt), use(task.failures), use(task.fencing_token), use(task.worker_id), use(task.lease_until_us),
      use(task.not_before_us), use(task.checkpoint_artefact_id), use(task.checkpoint_step), use(progress),
      use(task.error);
}

void TaskRepository::update(const TaskRecord& task) {
  using soci::use;
  const int state = task.state;
  const std::string progress = progress_json(task);
  sql_ << "UPDATE tasks SET state = :state, attempt = :attempt, failures = :failures, fencing_token = :token, "
          "worker_id = :worker, lease_until_us = :lease, not_before_us = :not_before, "
          "checkpoint_artefact_id = :checkpoint, checkpoint_step = :step, progress_json = :progress, error = :error "
          "WHERE id = :id",
      use(state), use(task.attempt), use(task.failures), use(task.fencing_token), use(task.worker_id),
      use(task.lease_until_us), use(task.not_before_us), use(task.checkpoint_artefact_id), use(task.checkpoint_step),
      use(progress), use(task.error), use(task.id);
}

Result<TaskRecord> TaskRepository::find(const std::string& id) {
  ESP_ASSIGN(std::vector<TaskRecord> tasks, select(sql_, "WHERE t.id = :id", &id));
  if (tasks.empty()) return absl::NotFoundError(absl::StrCat("no task ", id));
  return std::move(tasks[0]);
}

Result<std::vector<TaskRecord>> TaskRepository::of_job(const std::string& job_id) {
  return select(sql_, "WHERE t.job_id = :job ORDER BY t.position", &job_id);
}

Result<std::vector<TaskRecord>> TaskRepository::ready(long long now_us, int limit) {
  return select(
      sql_,
      absl::StrCat("JOIN jobs j ON j.id = t.job_id WHERE t.state = ", static_cast<int>(v1::STAGE_STATE_WAITING),
                   " AND t.not_before_us <= ", now_us, " ORDER BY j.number, t.position LIMIT ", limit),
      nullptr);
}

Result<std::vector<TaskRecord>> TaskRepository::running_on(const std::string& worker_id) {
  return select(sql_,
                absl::StrCat("WHERE t.worker_id = :worker AND t.state = ", static_cast<int>(v1::STAGE_STATE_RUNNING),
                             " ORDER BY t.number"),
                &worker_id);
}

Result<std::vector<TaskRecord>> TaskRepository::with_lease_before(long long now_us) {
  return select(sql_,
                absl::StrCat("WHERE t.state = ", static_cast<int>(v1::STAGE_STATE_RUNNING), " AND t.lease_until_us < ",
                             now_us, " ORDER BY t.number"),
                nullptr);
}

void TaskRepository::extend_all_leases(long long until_us) {
  const int running = v1::STAGE_STATE_RUNNING;
  sql_ << "UPDATE tasks SET lease_until_us = :until WHERE state = :state", soci::use(until_us), soci::use(running);
}

long long TaskRepository::next_fencing_token() {
  sql_ << "UPDATE counters SET value = value + 1 WHERE name = 'fencing_token'";
  long long token = 0;
  sql_ << "SELECT value FROM counters WHERE name = 'fencing_token'", soci::into(token);
  return token;
}

void TaskRepository::open_attempt(const TaskRecord& task, long long now_us) {
  using soci::use;
  sql_ << "INSERT INTO attempts (task_id, attempt, fencing_token, worker_id, start_us, end_us, outcome) VALUES "
          "(:task, :attempt, :token, :worker, :started, 0, '')",
      use(task.id), use(task.attempt), use(task.fencing_token), use(task.worker_id), use(now_us);
}

void TaskRepository::close_attempt(const TaskRecord& task, long long now_us, const std::string& outcome) {
  using soci::use;
  sql_ << "UPDATE attempts SET end_us = :ended, outcome = :outcome WHERE task_id = :task AND attempt = :attempt",
      use(now_us), use(outcome), use(task.id), use(task.attempt);
}

}  // namespace espalier::coordinator
