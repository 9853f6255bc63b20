#include "coordinator/jobs/task_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr const char* kSelectTasks =
    "SELECT t.number, t.id, t.job_id, t.tenant_id, t.kind, t.denoiser, t.shard, t.shards, t.ranks, t.position, "
    "t.state, "
    "t.attempt, t.failures, t.world_size, t.master_port, t.checkpoint_step, t.fencing_token, t.rendezvous_until_us, "
    "t.not_before_us, t.worker_id, t.checkpoint_artefact_id, t.output_artefact_id, t.progress_json, t.error FROM tasks "
    "t ";

struct TaskRow {
  TaskRecord task;
  int kind = 0, denoiser = 0, state = 0;
  std::string progress;

  void bind(soci::statement& statement) {
    using soci::into;
    statement.exchange(into(task.number));
    for (std::string* text : {&task.id, &task.job_id, &task.tenant_id}) statement.exchange(into(*text));
    for (int* value : {&kind, &denoiser, &task.shard, &task.shards, &task.ranks, &task.position, &state, &task.attempt,
                       &task.failures, &task.world_size, &task.master_port, &task.checkpoint_step}) {
      statement.exchange(into(*value));
    }
    for (long long* value : {&task.fencing_token, &task.rendezvous_until_us, &task.not_before_us}) {
      statement.exchange(into(*value));
    }
    for (std::string* text :
         {&task.worker_id, &task.checkpoint_artefact_id, &task.output_artefact_id, &progress, &task.error}) {
      statement.exchange(into(*text));
    }
  }

  Result<TaskRecord> decode() const {
    TaskRecord out = task;
    out.kind = static_cast<TaskKind>(kind);
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

void load_members(soci::session& sql, TaskRecord& task) {
  MemberRecord member;
  int state = 0;
  soci::statement statement =
      (sql.prepare << "SELECT member, worker_id, state FROM members WHERE task_id = :task ORDER BY member",
       soci::into(member.member), soci::into(member.worker_id), soci::into(state), soci::use(task.id));
  statement.execute();
  while (statement.fetch()) {
    member.state = static_cast<MemberState>(state);
    task.members.push_back(member);
  }
}

// Rows of kSelectTasks + `rest`, whose one text parameter, if any, is `text`. Numbers in `rest` are ours: nothing to
// escape.
Result<std::vector<TaskRecord>> select(soci::session& sql, const std::string& rest, const std::string* text) {
  TaskRow row;
  soci::statement statement(sql);
  row.bind(statement);
  if (text) statement.exchange(soci::use(*text));
  statement.alloc();
  statement.prepare(kSelectTasks + rest);
  statement.define_and_bind();
  statement.execute();
  std::vector<TaskRecord> tasks;
  while (statement.fetch()) {
    ESP_ASSIGN(TaskRecord task, row.decode());
    tasks.push_back(std::move(task));
  }
  for (TaskRecord& task : tasks) {
    if (task.state == v1::STAGE_STATE_RUNNING) load_members(sql, task);
  }
  return tasks;
}

}  // namespace

void TaskRepository::insert(const TaskRecord& task) {
  using soci::use;
  const int kind = static_cast<int>(task.kind), denoiser = task.denoiser, state = task.state;
  const std::string progress = progress_json(task);
  sql_ << "INSERT INTO tasks (id, job_id, tenant_id, kind, denoiser, shard, shards, ranks, position, state, attempt, "
          "failures, fencing_token, world_size, master_port, rendezvous_until_us, worker_id, not_before_us, "
          "checkpoint_artefact_id, checkpoint_step, output_artefact_id, progress_json, error) VALUES (:id, :job, "
          ":tenant, :kind, :denoiser, :shard, :shards, :ranks, :position, :state, :attempt, :failures, :token, :world, "
          ":port, :rendezvous, :worker, :not_before, :checkpoint, :step, :output, :progress, :error)",
      use(task.id), use(task.job_id), use(task.tenant_id), use(kind), use(denoiser), use(task.shard), use(task.shards),
      use(task.ranks), use(task.position), use(state), use(task.attempt), use(task.failures), use(task.fencing_token),
      use(task.world_size), use(task.master_port), use(task.rendezvous_until_us), use(task.worker_id),
      use(task.not_before_us), use(task.checkpoint_artefact_id), use(task.checkpoint_step),
      use(task.output_artefact_id), use(progress), use(task.error);
}

void TaskRepository::update(const TaskRecord& task) {
  using soci::use;
  const int kind = static_cast<int>(task.kind), state = task.state;
  const std::string progress = progress_json(task);
  sql_ << "UPDATE tasks SET kind = :kind, shard = :shard, shards = :shards, state = :state, attempt = :attempt, "
          "failures = :failures, fencing_token = :token, world_size = :world, master_port = :port, "
          "rendezvous_until_us = :rendezvous, worker_id = :worker, not_before_us = :not_before, "
          "checkpoint_artefact_id = :checkpoint, checkpoint_step = :step, output_artefact_id = :output, "
          "progress_json = :progress, error = :error WHERE id = :id",
      use(kind), use(task.shard), use(task.shards), use(state), use(task.attempt), use(task.failures),
      use(task.fencing_token), use(task.world_size), use(task.master_port), use(task.rendezvous_until_us),
      use(task.worker_id), use(task.not_before_us), use(task.checkpoint_artefact_id), use(task.checkpoint_step),
      use(task.output_artefact_id), use(progress), use(task.error), use(task.id);
}

void TaskRepository::put_members(const TaskRecord& task) {
  using soci::use;
  sql_ << "DELETE FROM members WHERE task_id = :task", use(task.id);
  for (const MemberRecord& member : task.members) {
    const int state = static_cast<int>(member.state);
    sql_ << "INSERT INTO members (task_id, member, worker_id, state) VALUES (:task, :member, :worker, :state)",
        use(task.id), use(member.member), use(member.worker_id), use(state);
  }
}

Result<TaskRecord> TaskRepository::find(const std::string& id) {
  ESP_ASSIGN(std::vector<TaskRecord> tasks, select(sql_, "WHERE t.id = :id", &id));
  if (tasks.empty()) return absl::NotFoundError(absl::StrCat("no task ", id));
  return std::move(tasks[0]);
}

Result<std::vector<TaskRecord>> TaskRepository::of_job(const std::string& job_id) {
  return select(sql_, "WHERE t.job_id = :job ORDER BY t.position, t.kind, t.shard", &job_id);
}

Result<std::vector<TaskRecord>> TaskRepository::unfinished() {
  return select(sql_,
                absl::StrCat("WHERE t.state IN (", static_cast<int>(v1::STAGE_STATE_WAITING), ", ",
                             static_cast<int>(v1::STAGE_STATE_RUNNING), ") ORDER BY t.number"),
                nullptr);
}

Result<std::vector<TaskRecord>> TaskRepository::running_on(const std::string& worker_id) {
  return select(sql_, "WHERE t.id IN (SELECT task_id FROM members WHERE worker_id = :worker) ORDER BY t.number",
                &worker_id);
}

long long TaskRepository::next_fencing_token() {
  sql_ << "UPDATE counters SET value = value + 1 WHERE name = 'fencing_token'";
  long long token = 0;
  sql_ << "SELECT value FROM counters WHERE name = 'fencing_token'", soci::into(token);
  return token;
}

void TaskRepository::open_attempt(const TaskRecord& task, long long now_us) {
  using soci::use;
  sql_ << "INSERT INTO attempts (task_id, attempt, fencing_token, worker_id, ranks, start_us, end_us, outcome) VALUES "
          "(:task, :attempt, :token, :worker, :ranks, :started, 0, '')",
      use(task.id), use(task.attempt), use(task.fencing_token), use(task.worker_id), use(task.world_size), use(now_us);
}

void TaskRepository::close_attempt(const TaskRecord& task, long long now_us, const std::string& outcome) {
  using soci::use;
  sql_ << "UPDATE attempts SET end_us = :ended, outcome = :outcome WHERE task_id = :task AND attempt = :attempt",
      use(now_us), use(outcome), use(task.id), use(task.attempt);
}

std::vector<TaskRepository::Ran> TaskRepository::ran_since(long long from_us) {
  Ran ran;
  soci::statement statement =
      (sql_.prepare << "SELECT t.tenant_id, a.ranks, a.start_us, a.end_us FROM attempts a JOIN tasks t ON t.id = "
                       "a.task_id WHERE a.end_us > :since OR a.end_us = 0",
       soci::into(ran.tenant_id), soci::into(ran.ranks), soci::into(ran.start_us), soci::into(ran.end_us),
       soci::use(from_us));
  statement.execute();
  std::vector<Ran> all;
  while (statement.fetch()) all.push_back(ran);
  return all;
}

}  // namespace espalier::coordinator
