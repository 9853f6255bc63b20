#include "tests/faults/tenant_client.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/philox.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::faults {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause{25};

// An event as the audit reads it; empty for those that come any number of times.
std::string digest_of(const v1::JobEvent& event) {
  if (event.has_state_changed()) return absl::StrCat("state ", static_cast<int>(event.state_changed().state()));
  if (event.has_adapter_ready()) {
    return absl::StrCat("adapter ", static_cast<int>(event.adapter_ready().adapter().denoiser()));
  }
  return event.has_dataset_ready() ? "dataset" : "";
}

}  // namespace

Status TenantClients::persist(size_t job, const Call& call) {
  const Credentials& key = world_.tenant_keys.at(static_cast<size_t>(world_.plan.jobs[job].tenant));
  for (;;) {
    const Connection connection(world_.address, key);
    const Status status = call(connection);
    if (status.ok() || !is_transient(status)) return status;
    if (absl::IsResourceExhausted(status)) ++world_.counters.full_disks;
    if (std::chrono::steady_clock::now() > deadline_) return status;
    std::this_thread::sleep_for(kPause);
  }
}

void TenantClients::run(size_t job) {
  std::this_thread::sleep_for(milliseconds(world_.plan.jobs[job].submit_after_ms));
  const auto steps = [&]() -> Status {
    ESP_ASSIGN(const v1::SubmitJobRequest request, with_source(job));
    ESP_TRY(submit(job, request));
    ESP_TRY(cancel(job));
    ESP_TRY(watch(job));
    return download_adapters(job);
  };
  const Status status = steps();
  if (!status.ok()) world_.violation("lost", absl::StrCat("job ", job, ": ", status.ToString()));
}

Result<v1::SubmitJobRequest> TenantClients::with_source(size_t job) {
  const PlannedJob& planned = world_.plan.jobs[job];
  v1::SubmitJobRequest request = planned.request;
  if (planned.source == PlannedJob::Source::kArchive) {
    ESP_ASSIGN(const std::string artefact,
               upload_archive(job, world_.plan.archives[static_cast<size_t>(planned.archive)]));
    request.mutable_spec()->set_artefact_id(artefact);
    return request;
  }
  ESP_ASSIGN(const std::string dataset, dataset_id_of(static_cast<size_t>(planned.earlier)));
  if (planned.source == PlannedJob::Source::kDatasetById) {
    request.mutable_spec()->set_dataset_id(dataset);
    return request;
  }
  ESP_ASSIGN(const std::string bytes, dataset_bytes(job, dataset));
  ESP_ASSIGN(const std::string artefact, upload_archive(job, bytes));
  request.mutable_spec()->set_artefact_id(artefact);
  return request;
}

Result<std::string> TenantClients::upload_archive(size_t job, const std::string& bytes) {
  PhiloxStream random(world_.plan.seed, 4, static_cast<uint32_t>(job));
  std::string id;
  const Status status = persist(job, [&](const Connection& connection) -> Status {
    Parcel parcel{.kind = v1::ARTEFACT_KIND_ARCHIVE,
                  .file_name = "assets.zip",
                  .bytes = bytes,
                  .lease = nullptr,
                  .cut_at = std::nullopt};
    if (random.below(3) == 0) {
      parcel.cut_at = random.below(static_cast<uint32_t>(bytes.size()));
      ++world_.counters.cut_uploads;
    }
    const auto artefact = upload_once(connection, parcel);
    if (absl::IsAborted(artefact.status())) return absl::UnavailableError("another upload of the same archive goes on");
    ESP_TRY(artefact.status());
    id = artefact->artefact_id();
    return absl::OkStatus();
  });
  ESP_TRY(status);
  return id;
}

Result<std::string> TenantClients::dataset_id_of(size_t earlier) {
  std::string job_id;
  {
    std::unique_lock lock(mutex_);
    submitted_.wait_until(lock, deadline_, [&] { return !outcomes_[earlier].job_id.empty(); });
    job_id = outcomes_[earlier].job_id;
  }
  while (std::chrono::steady_clock::now() < deadline_) {
    ESP_ASSIGN(const v1::Job job, get(earlier, job_id));
    if (!job.preparation().dataset_id().empty()) return job.preparation().dataset_id();
    std::this_thread::sleep_for(kPause);
  }
  return absl::DeadlineExceededError(absl::StrCat("job ", earlier, " has made no dataset"));
}

Result<std::string> TenantClients::dataset_bytes(size_t job, const std::string& dataset_id) {
  std::string bytes;
  const Status status = persist(job, [&](const Connection& connection) -> Status {
    grpc::ClientContext context;
    set_deadline(context, kDeadline);
    v1::GetDatasetRequest request;
    request.set_dataset_id(dataset_id);
    v1::GetDatasetResponse response;
    ESP_TRY(from_grpc(connection.datasets->GetDataset(&context, request, &response)));
    ESP_ASSIGN(bytes, download_once(connection, response.dataset().artefact_id()));
    return absl::OkStatus();
  });
  ESP_TRY(status);
  return bytes;
}

// The request as often as planned at once, some with so little time that their answer is often lost.
Status TenantClients::submit(size_t job, v1::SubmitJobRequest request) {
  const auto times = static_cast<size_t>(world_.plan.jobs[job].submits);
  world_.counters.repeated_submits += static_cast<int>(times) - 1;
  std::vector<std::string> ids(times);
  std::vector<Status> statuses(times);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < times; ++i) {
      threads.emplace_back([&, i] { statuses[i] = submit_once(job, request, ids[i]); });
    }
  }
  for (size_t i = 0; i < times; ++i) {
    ESP_TRY(statuses[i]);
    if (ids[i] != ids[0]) world_.violation("wrong", absl::StrCat("two jobs for one request: ", ids[i], ", ", ids[0]));
  }
  world_.timeline.add("job ", job, " is ", ids[0]);
  const std::lock_guard lock(mutex_);
  outcomes_[job].job_id = ids[0];
  submitted_.notify_all();
  return absl::OkStatus();
}

Status TenantClients::submit_once(size_t job, const v1::SubmitJobRequest& request, std::string& job_id) {
  milliseconds deadline = world_.plan.jobs[job].submits > 1 ? milliseconds(3) : kDeadline;
  return persist(job, [&](const Connection& connection) -> Status {
    grpc::ClientContext context;
    set_deadline(context, deadline);
    deadline = kDeadline;
    v1::SubmitJobResponse response;
    ESP_TRY(from_grpc(connection.jobs->SubmitJob(&context, request, &response)));
    job_id = response.job().job_id();
    return absl::OkStatus();
  });
}

Result<v1::Job> TenantClients::get(size_t job, const std::string& job_id) {
  v1::GetJobResponse response;
  ESP_TRY(persist(job, [&](const Connection& connection) {
    grpc::ClientContext context;
    set_deadline(context, kDeadline);
    v1::GetJobRequest request;
    request.set_job_id(job_id);
    return from_grpc(connection.jobs->GetJob(&context, request, &response));
  }));
  return response.job();
}

Status TenantClients::cancel(size_t job) {
  const auto& after = world_.plan.jobs[job].cancel_after_ms;
  if (!after) return absl::OkStatus();
  std::this_thread::sleep_for(milliseconds(*after));
  outcomes_[job].cancel_asked = true;
  ++world_.counters.cancels;
  world_.timeline.add("cancel job ", job);
  return persist(job, [&](const Connection& connection) {
    grpc::ClientContext context;
    set_deadline(context, kDeadline);
    v1::CancelJobRequest request;
    request.set_job_id(outcomes_[job].job_id);
    v1::CancelJobResponse response;
    return from_grpc(connection.jobs->CancelJob(&context, request, &response));
  });
}

Status TenantClients::watch(size_t job) {
  JobOutcome& outcome = outcomes_[job];
  int64_t seen = 0;
  ESP_TRY(persist(job, [&](const Connection& connection) { return watch_once(connection, outcome, seen); }));
  ESP_ASSIGN(outcome.job, get(job, outcome.job_id));
  outcome.ended = true;
  world_.timeline.add("job ", job, " ended as ", v1::JobState_Name(outcome.job.state()));
  return absl::OkStatus();
}

// Goes on after the last event seen; every event must come once and in order.
Status TenantClients::watch_once(const Connection& connection, JobOutcome& outcome, int64_t& seen) {
  grpc::ClientContext context;
  set_deadline(context, kDeadline);
  v1::WatchJobRequest request;
  request.set_job_id(outcome.job_id);
  request.set_after_sequence(seen);
  const auto reader = connection.jobs->WatchJob(&context, request);
  v1::JobEvent event;
  while (reader->Read(&event)) {
    if (event.sequence() != seen + 1) {
      world_.violation("lost", absl::StrCat("event ", event.sequence(), " of ", outcome.job_id, " came after ", seen));
    }
    seen = event.sequence();
    if (auto digest = digest_of(event); !digest.empty()) outcome.events.push_back(std::move(digest));
  }
  return from_grpc(reader->Finish());
}

Status TenantClients::download_adapters(size_t job) {
  JobOutcome& outcome = outcomes_[job];
  for (const v1::DenoiserStatus& denoiser : outcome.job.denoisers()) {
    if (!denoiser.has_adapter()) continue;
    std::string& bytes = outcome.adapters[denoiser.denoiser()];
    ESP_TRY(persist(job, [&](const Connection& connection) -> Status {
      ESP_ASSIGN(bytes, download_once(connection, denoiser.adapter().artefact_id()));
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

}  // namespace espalier::faults
