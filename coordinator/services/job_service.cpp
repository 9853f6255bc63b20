#include "coordinator/services/job_service.h"

#include <chrono>

#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr int kLogLinesAtOnce = 1000;
// How long a watcher sleeps at most before it looks whether its client is still there.
constexpr std::chrono::milliseconds kWatchNap{1000};

// Sends what `fetch(after)` gives, then waits for more, until the history has ended or the client has gone.
template <class Item, class Fetch>
Status follow(grpc::ServerContext& context, ChangeBoard& changes, const std::string& job_id, long long after,
              grpc::ServerWriter<Item>& writer, Fetch fetch) {
  ChangeBoard::Watch watch(changes, job_id);
  while (!context.IsCancelled()) {
    ESP_ASSIGN(const JobDesk::Tail<Item> tail, fetch(after));
    for (const Item& item : tail.items) {
      if (!writer.Write(item)) return absl::CancelledError("the client has gone");
      after = item.sequence();
    }
    if (tail.ended) return absl::OkStatus();
    if (!tail.items.empty()) continue;
    if (!watch.wait(kWatchNap)) return absl::UnavailableError("the server is stopping: call again");
  }
  return absl::CancelledError("the client has gone");
}

}  // namespace

grpc::Status JobServiceHandler::SubmitJob(grpc::ServerContext* context, const v1::SubmitJobRequest* request,
                                          v1::SubmitJobResponse* response) {
  return gate_.admit<v1::SubmitJobRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.submit(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                                       v1::GetJobResponse* response) {
  return gate_.admit<v1::GetJobRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_job(), desk_.job(caller.tenant_id, request->job_id()));
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                                         v1::ListJobsResponse* response) {
  return gate_.admit<v1::ListJobsRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.list(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                                         grpc::ServerWriter<v1::JobEvent>* writer) {
  return gate_.admit<v1::WatchJobRequest>(*context, [&](const Caller& caller) {
    const auto fetch = [&](long long after) -> Result<JobDesk::Tail<v1::JobEvent>> {
      ESP_TRY(gate_.recheck(caller));
      return desk_.events(caller.tenant_id, request->job_id(), after);
    };
    return follow(*context, changes_, request->job_id(), request->after_sequence(), *writer, fetch);
  });
}

grpc::Status JobServiceHandler::DeleteJob(grpc::ServerContext* context, const v1::DeleteJobRequest* request,
                                          v1::DeleteJobResponse*) {
  return gate_.admit<v1::DeleteJobRequest>(
      *context, [&](const Caller& caller) { return removal_.delete_job(caller, request->job_id()); });
}

grpc::Status JobServiceHandler::CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                                          v1::CancelJobResponse* response) {
  return gate_.admit<v1::CancelJobRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_job(), desk_.cancel(caller.tenant_id, request->job_id()));
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::EstimateJob(grpc::ServerContext* context, const v1::EstimateJobRequest* request,
                                            v1::EstimateJobResponse* response) {
  return gate_.admit<v1::EstimateJobRequest>(*context, [&](const Caller&) -> Status {
    ESP_ASSIGN(*response, desk_.estimate(*request));
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::ListJobLogs(grpc::ServerContext* context, const v1::ListJobLogsRequest* request,
                                            v1::ListJobLogsResponse* response) {
  return gate_.admit<v1::ListJobLogsRequest>(*context, [&](const Caller& caller) -> Status {
    const int limit = request->max_lines() == 0 ? kLogLinesAtOnce : request->max_lines();
    ESP_ASSIGN(auto tail, desk_.logs(caller.tenant_id, request->job_id(), request->after_sequence(), limit));
    for (v1::LogLine& line : tail.items) *response->add_lines() = std::move(line);
    return absl::OkStatus();
  });
}

grpc::Status JobServiceHandler::StreamJobLogs(grpc::ServerContext* context, const v1::StreamJobLogsRequest* request,
                                              grpc::ServerWriter<v1::LogLine>* writer) {
  return gate_.admit<v1::StreamJobLogsRequest>(*context, [&](const Caller& caller) {
    const auto fetch = [&](long long after) -> Result<JobDesk::Tail<v1::LogLine>> {
      ESP_TRY(gate_.recheck(caller));
      return desk_.logs(caller.tenant_id, request->job_id(), after, kLogLinesAtOnce);
    };
    return follow(*context, changes_, request->job_id(), request->after_sequence(), *writer, fetch);
  });
}

grpc::Status JobServiceHandler::ListJobMetrics(grpc::ServerContext* context, const v1::ListJobMetricsRequest* request,
                                               v1::ListJobMetricsResponse* response) {
  return gate_.admit<v1::ListJobMetricsRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(auto points, desk_.metrics(caller.tenant_id, *request));
    for (v1::MetricPoint& point : points) *response->add_points() = std::move(point);
    return absl::OkStatus();
  });
}

}  // namespace espalier::coordinator
