#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/app.h"
#include "client/call.h"
#include "client/command.h"
#include "client/job_view.h"
#include "client/sparkline.h"
#include "client/watch.h"
#include "espalier/v1/jobs.grpc.pb.h"

namespace espalier::client {
namespace {

struct MetricsOptions {
  std::string job_id;
  std::string denoiser;  // empty: the job's first
  int max_points = 2000;
  bool csv = false;
};

Result<v1::Denoiser> denoiser_of(const v1::Job& job, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& status : job.denoisers()) {
    names.push_back(denoiser_text(status.denoiser()));
    if (name.empty() || names.back() == name) return status.denoiser();
  }
  return absl::InvalidArgumentError(absl::StrCat("denoiser: '", name, "' is not trained by ", job.job_id(),
                                                 " (allowed: ", absl::StrJoin(names, ", "), ")"));
}

Result<v1::ListJobMetricsResponse> fetch(const Command& command, const MetricsOptions& options, v1::Denoiser denoiser) {
  v1::ListJobMetricsRequest request;
  request.set_job_id(options.job_id);
  request.set_denoiser(denoiser);
  request.set_max_points(options.max_points);
  return call(command, &v1::JobService::Stub::ListJobMetrics, request);
}

void print_csv(const v1::ListJobMetricsResponse& metrics) {
  std::cout << "step,loss,learning_rate,grad_norm,seconds_per_step\n";
  for (const auto& point : metrics.points()) {
    std::cout << absl::StrFormat("%d,%.9g,%.9g,%.9g,%.9g\n", point.step(), point.loss(), point.learning_rate(),
                                 point.grad_norm(), point.seconds_per_step());
  }
}

void print_row(const char* name, const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  std::cout << absl::StrFormat("%-14s %s  %.4g to %.4g, now %.4g\n", name, sparkline(values, 60), *low, *high,
                               values.back());
}

void print_lines(const v1::ListJobMetricsResponse& metrics) {
  if (metrics.points().empty()) {
    std::cout << "no step has been reported yet\n";
    return;
  }
  std::vector<double> loss, rate, norm, seconds;
  for (const auto& point : metrics.points()) {
    loss.push_back(point.loss());
    rate.push_back(point.learning_rate());
    norm.push_back(point.grad_norm());
    seconds.push_back(point.seconds_per_step());
  }
  std::cout << absl::StrFormat("steps %d to %d\n", metrics.points(0).step(), metrics.points().rbegin()->step());
  print_row("loss", loss);
  print_row("learning rate", rate);
  print_row("grad norm", norm);
  print_row("s/step", seconds);
}

Status metrics(const Command& command, const MetricsOptions& options) {
  ESP_ASSIGN(const auto job, get_job(command, options.job_id));
  ESP_ASSIGN(const auto denoiser, denoiser_of(job, options.denoiser));
  ESP_ASSIGN(const auto found, fetch(command, options, denoiser));
  if (options.csv)
    print_csv(found);
  else if (command.json)
    for (const auto& point : found.points()) std::cout << to_json(point) << "\n";
  else
    print_lines(found);
  return absl::OkStatus();
}

}  // namespace

void add_metrics(cli::App& app, Command& command) {
  auto& verb = app.verb("metrics", "Show the course of a training: loss, learning rate, gradient norm, time");
  auto options = std::make_shared<MetricsOptions>();
  verb.option("job", options->job_id, "Job id").required();
  verb.option("--denoiser", options->denoiser, "sparse_structure, geometry or texture; default: the job's first");
  verb.option("--max-points", options->max_points, "Thinned to so many; peaks are kept").range(1, 10000).show_default();
  verb.flag("--csv", options->csv, "A table with a header row, one row per point");
  verb.run([&command, options] { command.run = [&command, options] { return metrics(command, *options); }; });
}

}  // namespace espalier::client
