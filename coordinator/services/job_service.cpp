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

grpc::Status JobServiceHandler::SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                                          v1::SubmitJobResponse* response) {
  auto result = desk_.submit(kLocalTenant, *request);
  if (result.ok()) *response = *std::move(result);
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                       v1::GetJobResponse* response) {
  auto result = desk_.job(kLocalTenant, request->job_id());
  if (result.ok()) *response->mutable_job() = *std::move(result);
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                                         v1::ListJobsResponse* response) {
  auto result = desk_.list(kLocalTenant, *request);
  if (result.ok()) *response = *std::move(result);
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                                         grpc::ServerWriter<v1::JobEvent>* writer) {
  return to_grpc(follow(*context, changes_, request->job_id(), request->after_sequence(), *writer,
                        [&](long long after) { return desk_.events(kLocalTenant, request->job_id(), after); }));
}

grpc::Status JobServiceHandler::CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                                          v1::CancelJobResponse* response) {
  auto result = desk_.cancel(kLocalTenant, request->job_id());
  if (result.ok()) *response->mutable_job() = *std::move(result);
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::EstimateJob(grpc::ServerContext*, const v1::EstimateJobRequest* request,
                                            v1::EstimateJobResponse* response) {
  auto result = desk_.estimate(*request);
  if (result.ok()) *response = *std::move(result);
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::ListJobLogs(grpc::ServerContext*, const v1::ListJobLogsRequest* request,
                                            v1::ListJobLogsResponse* response) {
  const int limit = request->max_lines() == 0 ? kLogLinesAtOnce : request->max_lines();
  auto result = desk_.logs(kLocalTenant, request->job_id(), request->after_sequence(), limit);
  if (result.ok()) {
    for (v1::LogLine& line : result->items) *response->add_lines() = std::move(line);
  }
  return to_grpc(result.status());
}

grpc::Status JobServiceHandler::StreamJobLogs(grpc::ServerContext* context, const v1::StreamJobLogsRequest* request,
                                              grpc::ServerWriter<v1::LogLine>* writer) {
  const auto fetch = [&](long long after) {
    return desk_.logs(kLocalTenant, request->job_id(), after, kLogLinesAtOnce);
  };
  return to_grpc(follow(*context, changes_, request->job_id(), request->after_sequence(), *writer, fetch));
}

grpc::Status JobServiceHandler::ListJobMetrics(grpc::ServerContext*, const v1::ListJobMetricsRequest* request,
                                               v1::ListJobMetricsResponse* response) {
  auto result = desk_.metrics(kLocalTenant, *request);
  if (result.ok()) {
    for (v1::MetricPoint& point : *result) *response->add_points() = std::move(point);
  }
  return to_grpc(result.status());
}

}  // namespace espalier::coordinator
