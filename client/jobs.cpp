#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/call.h"
#include "client/command.h"
#include "client/job_view.h"
#include "client/watch.h"
#include "espalier/v1/jobs.grpc.pb.h"

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
  return call_pages(command, &v1::JobService::Stub::ListJobs, v1::ListJobsRequest(), limit, [&](const auto& response) {
    for (const auto& job : response.jobs()) {
      command.json ? void(std::cout << to_json(job) << "\n") : print_row(job);
    }
    return response.jobs_size();
  });
}

Status cancel(const Command& command, const std::string& job_id) {
  v1::CancelJobRequest request;
  request.set_job_id(job_id);
  ESP_ASSIGN(const auto response, call(command, &v1::JobService::Stub::CancelJob, request));
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
