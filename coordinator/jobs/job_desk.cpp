#include "coordinator/jobs/job_desk.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/sha256.h"
#include "coordinator/billing/job_price.h"
#include "coordinator/billing/ledger.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/job_validator.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/names.h"
#include "coordinator/paging.h"
#include "coordinator/storage/artefact_repository.h"

namespace espalier::coordinator {
namespace {

constexpr int kEventsAtOnce = 500;

// Of what the request asks for, so not of its id; equal requests have equal digests within and across processes.
std::string content_digest(v1::SubmitJobRequest request) {
  request.clear_request_id();
  request.clear_validate_only();
  return sha256_hex(request.SerializeAsString());  // no maps inside: the bytes are in field order
}

}  // namespace

Result<v1::SubmitJobResponse> JobDesk::submit(const std::string& tenant_id, v1::SubmitJobRequest request) {
  *request.mutable_spec() = with_defaults(request.spec(), base_);
  if (request.priority() == v1::PRIORITY_UNSPECIFIED) request.set_priority(v1::PRIORITY_NORMAL);
  ESP_TRY(invalid_fields(validate_submit(request, base_)));
  const std::string digest = content_digest(request);
  std::optional<WorkChange> change;
  const Scheduler::Admission admission(parts_.scheduler, tenant_id, request.spec().world_size());
  auto response = parts_.database.transaction(
      [&](soci::session& sql) { return submit_checked(sql, tenant_id, request, digest, admission.status(), change); });
  ESP_TRY(response.status());
  if (change) parts_.scheduler.submitted(*change);
  add_waiting_reason(*response->mutable_job());
  return response;
}

Result<v1::SubmitJobResponse> JobDesk::submit_checked(soci::session& sql, const std::string& tenant_id,
                                                      const v1::SubmitJobRequest& request, const std::string& digest,
                                                      const Status& room, std::optional<WorkChange>& change) {
  v1::SubmitJobResponse response;
  ESP_ASSIGN(const auto earlier, JobRepository(sql).find_by_request(tenant_id, request.request_id()));
  if (earlier) {
    if (earlier->request_sha256 != digest) {
      return with_reason(absl::AlreadyExistsError(absl::StrCat("request_id: ", request.request_id(),
                                                               " was used for another job, ", earlier->id)),
                         "IDEMPOTENCY_CONFLICT");
    }
    ESP_ASSIGN(*response.mutable_job(), describe_job(sql, *earlier));
    response.set_duplicate(true);
    return response;
  }
  ESP_TRY(room);
  ESP_ASSIGN(const Source source, check_source(sql, tenant_id, request.spec()));
  JobRecord job;
  job.id = new_id("job");
  job.tenant_id = tenant_id;
  job.request_id = request.request_id();
  job.request_sha256 = digest;
  job.name = request.name();
  job.spec = request.spec();
  job.priority = request.priority();
  job.expected_objects = request.expected_objects();
  job.prices = prices_;
  job.warnings = spec_warnings(request.spec(), base_);
  ESP_ASSIGN(job.estimate, job_price(prices_, job.spec, job.expected_objects, source.prepared));
  Ledger ledger(sql, parts_.clock.now_us());
  if (request.validate_only()) {
    ESP_TRY(ledger.admits(job, source.prepared));
    job.id.clear();
    job.create_us = parts_.clock.now_us();
  } else {
    Lifecycle life(sql, leases_, base_.name, parts_.clock.now_us());
    ESP_TRY(life.create(job, source.dataset));
    ESP_TRY(ledger.submitted(job, source.prepared));
    change = life.change(job);
  }
  ESP_ASSIGN(*response.mutable_job(), describe_job(sql, job));
  return response;
}

Result<JobDesk::Source> JobDesk::check_source(soci::session& sql, const std::string& tenant_id,
                                              const v1::TrainingSpec& spec) {
  if (spec.has_artefact_id()) {
    const auto artefact = ArtefactRepository(sql).find(spec.artefact_id(), tenant_id);
    if (!artefact.ok()) return annotate(artefact.status(), "spec.artefact_id");
    if (artefact->kind != v1::ARTEFACT_KIND_ARCHIVE && artefact->kind != v1::ARTEFACT_KIND_PREPARED_DATASET) {
      return invalid_fields({{"spec.artefact_id", "is not an archive or a prepared dataset"}});
    }
    return Source{.dataset = {}, .prepared = artefact->kind == v1::ARTEFACT_KIND_PREPARED_DATASET};
  }
  auto dataset = CatalogueRepository(sql).find_dataset(spec.dataset_id(), tenant_id);
  if (!dataset.ok()) return annotate(dataset.status(), "spec.dataset_id");
  std::vector<FieldFault> faults;
  if (dataset->resolution() != spec.resolution()) {
    faults.push_back(
        {"spec.resolution", absl::StrCat(spec.resolution(), ": the dataset was prepared at ", dataset->resolution())});
  }
  for (int i = 0; i < spec.denoisers_size(); ++i) {
    const auto& ready = dataset->denoisers();
    if (std::find(ready.begin(), ready.end(), spec.denoisers(i)) != ready.end()) continue;
    faults.push_back({absl::StrCat("spec.denoisers[", i, "]"),
                      absl::StrCat("the dataset has nothing to train ", denoiser_name(spec.denoisers(i)), " from")});
  }
  ESP_TRY(invalid_fields(faults));
  return Source{.dataset = *std::move(dataset), .prepared = true};
}

Result<v1::EstimateJobResponse> JobDesk::estimate(const v1::EstimateJobRequest& request) const {
  const v1::TrainingSpec spec = with_defaults(request.spec(), base_);
  std::vector<FieldFault> faults = validate_spec(spec, base_, "spec", /*source_required=*/false);
  if (request.objects() < 0 || request.objects() > 1'000'000) {
    faults.push_back({"objects", absl::StrCat(request.objects(), " is not in 0 to 1000000")});
  }
  ESP_TRY(invalid_fields(faults));
  v1::EstimateJobResponse response;
  const bool reused = request.reused_dataset() || spec.has_dataset_id();
  ESP_ASSIGN(*response.mutable_cost(), job_price(prices_, spec, request.objects(), reused));
  for (const std::string& warning : spec_warnings(spec, base_)) response.add_warnings(warning);
  return response;
}

void JobDesk::add_waiting_reason(v1::Job& job) {
  if (is_final(job.state()) || job.state() == v1::JOB_STATE_CANCELLING) return;
  if (job.state() == v1::JOB_STATE_QUEUED) job.set_queue_position(parts_.scheduler.queue_position(job.job_id()));
  const auto is = [](v1::StageState wanted) {
    return [wanted](const v1::DenoiserStatus& status) { return status.state() == wanted; };
  };
  const auto& stages = job.denoisers();
  if (job.preparation().state() == v1::STAGE_STATE_RUNNING ||
      std::any_of(stages.begin(), stages.end(), is(v1::STAGE_STATE_RUNNING))) {
    return;
  }
  const auto failed = std::find_if(stages.begin(), stages.end(), [](const v1::DenoiserStatus& status) {
    return status.state() == v1::STAGE_STATE_WAITING && !status.error().empty();
  });
  if (!job.preparation().error().empty() || failed != stages.end()) {
    job.set_waiting_for("the next attempt after a failure");
  } else {
    job.set_waiting_for(parts_.scheduler.waiting_reason(job.job_id()));
  }
}

Result<v1::Job> JobDesk::job(const std::string& tenant_id, const std::string& job_id) {
  auto found = parts_.database.read([&](soci::session& sql) -> Result<v1::Job> {
    ESP_ASSIGN(const JobRecord record, JobRepository(sql).find(job_id, tenant_id));
    return describe_job(sql, record);
  });
  if (found.ok()) add_waiting_reason(*found);
  return found;
}

Result<v1::ListJobsResponse> JobDesk::list(const std::string& tenant_id, const v1::ListJobsRequest& request) {
  const std::string scope = absl::StrCat("jobs ", tenant_id, " ", absl::StrJoin(request.states(), ","));
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  std::vector<v1::JobState> states;
  for (const int state : request.states()) states.push_back(static_cast<v1::JobState>(state));
  const int wanted = page.size++;  // one more tells whether there is a next page
  auto listed = parts_.database.read([&](soci::session& sql) -> Result<v1::ListJobsResponse> {
    ESP_ASSIGN(const std::vector<JobRecord> jobs, JobRepository(sql).list(tenant_id, states, page));
    v1::ListJobsResponse response;
    for (size_t i = 0; i < std::min(jobs.size(), static_cast<size_t>(wanted)); ++i) {
      ESP_ASSIGN(*response.add_jobs(), describe_job(sql, jobs[i]));
    }
    if (jobs.size() > static_cast<size_t>(wanted)) {
      response.set_next_page_token(next_token(jobs[static_cast<size_t>(wanted) - 1].number, scope));
    }
    return response;
  });
  if (listed.ok()) {
    for (v1::Job& job : *listed->mutable_jobs()) add_waiting_reason(job);
  }
  return listed;
}

Result<v1::Job> JobDesk::cancel(const std::string& tenant_id, const std::string& job_id) {
  return parts_.scheduler.cancel(tenant_id, job_id);
}

Result<JobDesk::Tail<v1::JobEvent>> JobDesk::events(const std::string& tenant_id, const std::string& job_id,
                                                    long long after) {
  return parts_.database.read([&](soci::session& sql) -> Result<Tail<v1::JobEvent>> {
    ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(job_id, tenant_id));
    Tail<v1::JobEvent> tail;
    ESP_ASSIGN(tail.items, EventRepository(sql).after(job_id, after, kEventsAtOnce));
    const long long last = tail.items.empty() ? after : tail.items.back().sequence();
    tail.ended = is_final(job.state) && last >= job.last_sequence;
    return tail;
  });
}

Result<JobDesk::Tail<v1::LogLine>> JobDesk::logs(const std::string& tenant_id, const std::string& job_id,
                                                 long long after, int limit) {
  if (limit < 1 || limit > EventRepository::kKeptLogLines) {
    return invalid_fields({{"max_lines", absl::StrCat(limit, " is not in 0 to ", EventRepository::kKeptLogLines)}});
  }
  return parts_.database.read([&](soci::session& sql) -> Result<Tail<v1::LogLine>> {
    ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(job_id, tenant_id));
    Tail<v1::LogLine> tail;
    tail.items = EventRepository(sql).logs_after(job_id, after, limit);
    const long long last = tail.items.empty() ? after : tail.items.back().sequence();
    tail.ended = is_final(job.state) && last >= job.last_log_sequence;
    return tail;
  });
}

Result<std::vector<v1::MetricPoint>> JobDesk::metrics(const std::string& tenant_id,
                                                      const v1::ListJobMetricsRequest& request) {
  std::vector<FieldFault> faults;
  const int max_points = request.max_points() == 0 ? 2000 : request.max_points();
  if (max_points < 1 || max_points > 10'000) {
    faults.push_back({"max_points", absl::StrCat(max_points, " is not in 0 to 10000")});
  }
  if (!from_proto(request.denoiser())) {
    faults.push_back({"denoiser", "must be sparse_structure, geometry or texture"});
  }
  ESP_TRY(invalid_fields(faults));
  return parts_.database.read([&](soci::session& sql) -> Result<std::vector<v1::MetricPoint>> {
    ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(request.job_id(), tenant_id));
    ESP_ASSIGN(const std::vector<TaskRecord> tasks, TaskRepository(sql).of_job(job.id));
    for (const TaskRecord& task : tasks) {
      if (task.denoiser == request.denoiser()) {
        return thin(EventRepository(sql).metrics(task.id), static_cast<size_t>(max_points));
      }
    }
    return absl::NotFoundError(absl::StrCat("job ", job.id, " does not train ", denoiser_name(request.denoiser())));
  });
}

}  // namespace espalier::coordinator
