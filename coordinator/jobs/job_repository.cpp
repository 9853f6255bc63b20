#include "coordinator/jobs/job_repository.h"

#include <soci/soci.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr const char* kColumns =
    "number, id, tenant_id, request_id, request_sha256, name, state, spec_json, prices_json, estimate_json, cost_json, "
    "dataset_id, error, warnings_json, create_us, start_us, end_us, last_sequence, last_log_sequence, "
    "priority, expected_objects";

// One row as the database has it.
struct JobRow {
  JobRecord job;
  int state = 0, priority = 0;
  std::string spec, prices, estimate, cost, warnings;

  void bind(soci::statement& statement) {
    using soci::into;
    statement.exchange(into(job.number));
    for (std::string* text : {&job.id, &job.tenant_id, &job.request_id, &job.request_sha256, &job.name}) {
      statement.exchange(into(*text));
    }
    statement.exchange(into(state));
    for (std::string* text : {&spec, &prices, &estimate, &cost, &job.dataset_id, &job.error, &warnings}) {
      statement.exchange(into(*text));
    }
    for (long long* value : {&job.create_us, &job.start_us, &job.end_us, &job.last_sequence, &job.last_log_sequence}) {
      statement.exchange(into(*value));
    }
    statement.exchange(into(priority));
    statement.exchange(into(job.expected_objects));
  }

  Result<JobRecord> decode() const {
    JobRecord out = job;
    out.state = static_cast<v1::JobState>(state);
    out.priority = static_cast<v1::Priority>(priority);
    ESP_TRY(parse_json(spec, &out.spec));
    ESP_TRY(parse_json(estimate, &out.estimate));
    ESP_TRY(parse_json(cost, &out.cost));
    ESP_ASSIGN(out.prices, billing::PriceList::from_json(prices));
    const auto list = nlohmann::json::parse(warnings, nullptr, false);
    for (const auto& warning : list) out.warnings.push_back(warning.get<std::string>());
    return out;
  }
};

// The rows of `query`; `texts` are its bound values in order.
Result<std::vector<JobRecord>> select(soci::session& sql, const std::string& query,
                                      const std::vector<std::string>& texts) {
  JobRow row;
  soci::statement statement(sql);
  row.bind(statement);
  for (const std::string& text : texts) statement.exchange(soci::use(text));
  statement.alloc();
  statement.prepare(query);
  statement.define_and_bind();
  statement.execute();
  std::vector<JobRecord> jobs;
  while (statement.fetch()) {
    ESP_ASSIGN(JobRecord job, row.decode());
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::string cost_json(const JobRecord& job) { return job.end_us == 0 ? "" : to_json(job.cost); }

}  // namespace

void JobRepository::insert(JobRecord& job) {
  using soci::use;
  const int state = job.state, priority = job.priority;
  const std::string spec = to_json(job.spec), prices = job.prices.to_json(), estimate = to_json(job.estimate);
  const std::string cost = cost_json(job), warnings = nlohmann::json(job.warnings).dump();
  sql_ << "INSERT INTO jobs (id, tenant_id, request_id, request_sha256, name, state, spec_json, prices_json, "
          "estimate_json, cost_json, dataset_id, error, warnings_json, create_us, start_us, end_us, last_sequence, "
          "last_log_sequence, priority, expected_objects) VALUES (:id, :tenant, :request, :sha, :name, :state, :spec, "
          ":prices, :estimate, :cost, "
          ":dataset, :error, :warnings, :created, :started, :ended, :sequence, :log, :priority, :objects)",
      use(job.id), use(job.tenant_id), use(job.request_id), use(job.request_sha256), use(job.name), use(state),
      use(spec), use(prices), use(estimate), use(cost), use(job.dataset_id), use(job.error), use(warnings),
      use(job.create_us), use(job.start_us), use(job.end_us), use(job.last_sequence), use(job.last_log_sequence),
      use(priority), use(job.expected_objects);
  sql_ << "SELECT last_insert_rowid()", soci::into(job.number);
}

void JobRepository::update(const JobRecord& job) {
  using soci::use;
  const int state = job.state;
  const std::string cost = cost_json(job), warnings = nlohmann::json(job.warnings).dump();
  sql_ << "UPDATE jobs SET state = :state, cost_json = :cost, dataset_id = :dataset, error = :error, "
          "warnings_json = :warnings, start_us = :started, end_us = :ended, last_sequence = :sequence, "
          "last_log_sequence = :log WHERE id = :id",
      use(state), use(cost), use(job.dataset_id), use(job.error), use(warnings), use(job.start_us), use(job.end_us),
      use(job.last_sequence), use(job.last_log_sequence), use(job.id);
}

Result<JobRecord> JobRepository::find(const std::string& id, const std::string& tenant_id) {
  std::string query = absl::StrCat("SELECT ", kColumns, " FROM jobs WHERE id = :id");
  std::vector<std::string> texts = {id};
  if (!tenant_id.empty()) {
    query += " AND tenant_id = :tenant AND delete_us = 0";
    texts.push_back(tenant_id);
  }
  ESP_ASSIGN(std::vector<JobRecord> jobs, select(sql_, query, texts));
  if (jobs.empty()) return absl::NotFoundError(absl::StrCat("no job ", id));
  return std::move(jobs[0]);
}

Result<std::optional<JobRecord>> JobRepository::find_by_request(const std::string& tenant_id,
                                                                const std::string& request_id) {
  ESP_ASSIGN(
      std::vector<JobRecord> jobs,
      select(sql_, absl::StrCat("SELECT ", kColumns, " FROM jobs WHERE tenant_id = :tenant AND request_id = :request"),
             {tenant_id, request_id}));
  if (jobs.empty()) return std::optional<JobRecord>();
  return std::optional(std::move(jobs[0]));
}

Result<std::vector<JobRecord>> JobRepository::list(const std::string& tenant_id,
                                                   const std::vector<v1::JobState>& states, const PageQuery& page) {
  std::string query = absl::StrCat("SELECT ", kColumns, " FROM jobs WHERE tenant_id = :tenant AND delete_us = 0");
  if (!states.empty()) {  // numbers of an enum: nothing to escape
    query += absl::StrCat(
        " AND state IN (",
        absl::StrJoin(states, ", ",
                      [](std::string* out, v1::JobState state) { absl::StrAppend(out, static_cast<int>(state)); }),
        ")");
  }
  if (page.before_number > 0) query += absl::StrCat(" AND number < ", page.before_number);
  query += absl::StrCat(" ORDER BY number DESC LIMIT ", page.size);
  return select(sql_, query, {tenant_id});
}

std::vector<UnfinishedJob> JobRepository::unfinished() {
  UnfinishedJob job;
  int priority = 0, state = 0;
  soci::statement statement =
      (sql_.prepare
           << "SELECT id, tenant_id, priority, create_us, number, state, expected_objects FROM jobs WHERE state IN ("
           << absl::StrJoin({static_cast<int>(v1::JOB_STATE_QUEUED), static_cast<int>(v1::JOB_STATE_PREPARING),
                             static_cast<int>(v1::JOB_STATE_TRAINING), static_cast<int>(v1::JOB_STATE_CANCELLING)},
                            ", ")
           << ") ORDER BY number",
       soci::into(job.id), soci::into(job.tenant_id), soci::into(priority), soci::into(job.create_us),
       soci::into(job.number), soci::into(state), soci::into(job.expected_objects));
  statement.execute();
  std::vector<UnfinishedJob> jobs;
  while (statement.fetch()) {
    job.priority = static_cast<v1::Priority>(priority);
    job.state = static_cast<v1::JobState>(state);
    jobs.push_back(job);
  }
  return jobs;
}

}  // namespace espalier::coordinator
