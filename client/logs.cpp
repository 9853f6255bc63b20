#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>

#include "cli/app.h"
#include "client/call.h"
#include "client/command.h"
#include "client/job_view.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

struct LogOptions {
  std::string job_id;
  bool follow = false;
};

void print(const v1::LogLine& line, bool json) {
  if (json) {
    std::cout << to_json(line) << std::endl;
    return;
  }
  std::cout << google::protobuf::util::TimeUtil::ToString(line.time()) << "  " << denoiser_text(line.denoiser()) << "  "
            << line.text() << std::endl;
}

Status stored(const Command& command, const LogOptions& options) {
  v1::ListJobLogsRequest request;
  request.set_job_id(options.job_id);
  for (;;) {
    ESP_ASSIGN(const auto response, call(command, &v1::JobService::Stub::ListJobLogs, request));
    if (response.lines().empty()) return absl::OkStatus();
    for (const auto& line : response.lines()) print(line, command.json);
    request.set_after_sequence(response.lines().rbegin()->sequence());
  }
}

Status live(const Command& command, const LogOptions& options) {
  const auto stub = v1::JobService::NewStub(coordinator_channel(command));
  grpc::ClientContext context;
  const std::stop_callback on_stop(command.stop, [&] { context.TryCancel(); });
  v1::StreamJobLogsRequest request;
  request.set_job_id(options.job_id);
  const auto reader = stub->StreamJobLogs(&context, request);
  v1::LogLine line;
  while (reader->Read(&line)) print(line, command.json);
  const Status status = from_grpc(reader->Finish());
  if (command.stop.stop_requested() && !status.ok()) return absl::CancelledError("stopped");
  return explain(status, command.coordinator);
}

}  // namespace

void add_logs(cli::App& app, Command& command) {
  auto& verb = app.verb("logs", "Print what a job's programs said");
  auto options = std::make_shared<LogOptions>();
  verb.option("job", options->job_id, "Job id").required();
  verb.flag("-f,--follow", options->follow, "Go on until the job has ended");
  verb.run([&command, options] {
    command.run = [&command, options] { return options->follow ? live(command, *options) : stored(command, *options); };
  });
}

}  // namespace espalier::client
