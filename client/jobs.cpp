#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/command.h"
#include "client/job_view.h"
#include "client/watch.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

void print_row(const v1::Job& job) {
  std::string denoisers;
  for (const auto& status : job.denoisers()) {
    if (!denoisers.empty()) denoisers += ",";
    denoisers += denoiser_text(status.denoiser());
  }
  const auto cost = is_terminal(job.state()) ? job.cost().total_nanos() : job.estimate().total_nanos();
  std::cout << absl::StrFormat("%-31s %-20s %-6s  %s  %-18s %9s  %s\n", job.job_id(), state_text(job.state()),
                               priority_text(job.priority()), local_time(job.create_time()), denoisers, money(cost),
                               job.name());
}

Status list(const Command& command, int limit) {
  const auto stub = v1::JobService::NewStub(coordinator_channel(command));
  v1::ListJobsRequest request;
  for (int left = limit; left > 0;) {
    request.mutable_page()->set_page_size(std::min(left, 1000));
    grpc::ClientContext context;
    set_deadline(context);
    v1::ListJobsResponse response;
    ESP_TRY(explain(from_grpc(stub->ListJobs(&context, request, &response)), command.coordinator));
    for (const auto& job : response.jobs()) {
      command.json ? void(std::cout << to_json(job) << "\n") : print_row(job);
    }
    left -= response.jobs_size();
    request.mutable_page()->set_page_token(response.next_page_token());
    if (response.next_page_token().empty()) break;
  }
  return absl::OkStatus();
}

Status cancel(const Command& command, const std::string& job_id) {
  const auto stub = v1::JobService::NewStub(coordinator_channel(command));
  grpc::ClientContext context;
  set_deadline(context);
  v1::CancelJobRequest request;
  request.set_job_id(job_id);
  v1::CancelJobResponse response;
  ESP_TRY(explain(from_grpc(stub->CancelJob(&context, request, &response)), command.coordinator));
  std::cout << (command.json ? to_json(response.job()) : job_id + " is " + state_text(response.job().state()))
            << std::endl;
  return absl::OkStatus();
}

}  // namespace

void add_jobs(cli::App& app, Command& command) {
  auto& jobs = app.verb("jobs", "List jobs, newest first");
  auto limit = std::make_shared<int>(50);
  jobs.option("--limit", *limit, "At most so many").range(1, 1'000'000).show_default();
  jobs.run([&command, limit] { command.run = [&command, limit] { return list(command, *limit); }; });

  auto job_id = std::make_shared<std::string>();
  auto& job = app.verb("job", "Show one job");
  job.option("job", *job_id, "Job id").required();
  job.run([&command, job_id] {
    command.run = [&command, job_id]() -> Status {
      ESP_ASSIGN(const auto found, get_job(command, *job_id));
      std::cout << (command.json ? to_json(found) + "\n" : describe(found));
      return absl::OkStatus();
    };
  });

  auto& stop = app.verb("cancel", "Cancel a job");
  stop.option("job", *job_id, "Job id").required();
  stop.run([&command, job_id] { command.run = [&command, job_id] { return cancel(command, *job_id); }; });
}

}  // namespace espalier::client
