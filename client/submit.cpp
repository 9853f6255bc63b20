#include <grpcpp/grpcpp.h>

#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/call.h"
#include "client/command.h"
#include "client/job_view.h"
#include "client/source.h"
#include "client/watch.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "rpc/transfer.h"

namespace espalier::client {
namespace {

struct SubmitOptions {
  std::string source;
  std::vector<std::string> denoisers = {"sparse_structure"};
  int rank = 32, resolution = 512, steps = 1000, batch_size = 0, world_size = 1;
  std::optional<double> learning_rate;  // absent: what the base recommends
  int64_t seed = 0;
  std::vector<int> holdout_views;
  std::string name, request_id;
  v1::Priority priority = v1::PRIORITY_NORMAL;
  bool evaluate = false, watch = false;
};

Result<v1::TrainingSpec> make_spec(const SubmitOptions& options) {
  v1::TrainingSpec spec;
  ESP_TRY(parse_denoisers(options.denoisers, spec));
  spec.set_rank(options.rank);
  spec.set_resolution(options.resolution);
  spec.set_steps(options.steps);
  if (options.learning_rate) spec.set_learning_rate(*options.learning_rate);
  spec.set_seed(options.seed);
  spec.set_batch_size(options.batch_size);
  spec.set_world_size(options.world_size);
  for (const int view : options.holdout_views) spec.add_holdout_views(view);
  spec.set_evaluate(options.evaluate);
  return spec;
}

Result<v1::Artefact> upload(const Command& command, const Source& source) {
  cli::Board board(command.json);
  UploadDescription description;
  description.kind = v1::ARTEFACT_KIND_ARCHIVE;
  description.file_name = source.name;
  description.content_type = "application/zip";
  TransferOptions transfer;
  transfer.stop = command.stop;
  transfer.patience_seconds = 15;
  transfer.on_progress = [&](int64_t done, int64_t total) {
    board.set("upload",
              absl::StrFormat("%-17s %s  %s of %s", "upload", cli::bar(static_cast<double>(done) / total),
                              cli::bytes_text(done), cli::bytes_text(total)),
              done == total);
  };
  const auto stub = v1::ArtefactService::NewStub(coordinator_channel(command));
  auto artefact = upload_file(*stub, source.zip, description, transfer);
  if (!artefact.ok()) return explain(artefact.status(), command.coordinator);
  return artefact;
}

Result<Source> open_with_progress(const Command& command, const std::string& from) {
  cli::Board board(command.json);
  const auto progress = [&](int64_t done, int64_t total) {
    board.set("download", absl::StrFormat("%-17s %s%s%s", "download", cli::bytes_text(done), total > 0 ? " of " : "",
                                          total > 0 ? cli::bytes_text(total) : ""));
  };
  return open_source(from, progress, command.stop);
}

// An estimate obeys the same rules as a job: the settings are checked before a large file is sent.
Status check_spec(const Command& command, const v1::TrainingSpec& spec, const Source& source) {
  v1::EstimateJobRequest estimate;
  *estimate.mutable_spec() = spec;
  estimate.set_objects(source.objects);
  estimate.set_reused_dataset(source.prepared);
  return call(command, &v1::JobService::Stub::EstimateJob, estimate).status();
}

// What a job without --lr is trained with.
std::string learning_rate_note(const v1::Job& job) {
  return absl::StrFormat("learning rate %g, the default of this base; --lr sets another", job.spec().learning_rate());
}

Status submit(const Command& command, const SubmitOptions& options) {
  v1::SubmitJobRequest request;
  ESP_ASSIGN(*request.mutable_spec(), make_spec(options));
  request.set_request_id(options.request_id.empty() ? new_request_id() : options.request_id);
  request.set_name(options.name);
  request.set_priority(options.priority);
  if (options.source.starts_with("dat_")) {
    request.mutable_spec()->set_dataset_id(options.source);
  } else {
    ESP_ASSIGN(const auto source, open_with_progress(command, options.source));
    ESP_TRY(check_spec(command, request.spec(), source));
    ESP_ASSIGN(const auto artefact, upload(command, source));
    request.mutable_spec()->set_artefact_id(artefact.artefact_id());
    request.set_expected_objects(source.prepared ? 0 : source.objects);
    if (request.name().empty()) request.set_name(source.name);
  }
  ESP_ASSIGN(const auto response, call(command, &v1::JobService::Stub::SubmitJob, request));
  const auto& job = response.job();
  if (!command.json) {
    std::cerr << (response.duplicate() ? "already submitted as " : "submitted ") << job.job_id() << ", estimate "
              << money(job.estimate().total_nanos()) << std::endl;
    if (!options.learning_rate) std::cerr << learning_rate_note(job) << std::endl;
    for (const auto& warning : job.warnings()) std::cerr << "warning: " << warning << std::endl;
  }
  if (!options.watch) {
    std::cout << (command.json ? to_json(job) : job.job_id()) << std::endl;
    return absl::OkStatus();
  }
  ESP_ASSIGN(const auto ended, watch_job(command, job.job_id()));
  std::cout << (command.json ? to_json(ended) + "\n" : describe(ended));
  return outcome(ended);
}

}  // namespace

void add_submit(cli::App& app, Command& command) {
  auto& verb = app.verb("submit", "Train adapters from 3D assets or a prepared dataset");
  auto options = std::make_shared<SubmitOptions>();
  verb.option("source", options->source,
              "A .zip, a folder, one asset file, an http(s) URL of a .zip, or the id of a prepared dataset (dat_…)")
      .required();
  verb.option("--denoisers", options->denoisers, "sparse_structure, geometry, texture; comma-separated")
      .separated_by_commas()
      .show_default();
  verb.option("--rank", options->rank, "Adapter rank: 16, 32 or 64").show_default();
  verb.option("--resolution", options->resolution, "Voxels per side: 512 or 1024").show_default();
  verb.option("--steps", options->steps, "Optimizer steps, 100..10000").show_default();
  verb.option("--lr", options->learning_rate, "Learning rate, 1e-6..1e-2 (default: what the base recommends)");
  verb.option("--batch-size", options->batch_size, "Samples of a step, 1..64 (default: by denoiser)");
  verb.option("--world-size", options->world_size,
              "Workers that train each denoiser together, 1..64; the adapter does not depend on it")
      .show_default();
  verb.text(
          "--priority",
          [options](const std::string& name) {
            v1::Priority_Parse("PRIORITY_" + absl::AsciiStrToUpper(name), &options->priority);
          },
          "Among the tenant's own jobs: low, normal or high (default: normal)")
      .choices({"low", "normal", "high"});
  verb.option("--seed", options->seed, "Of everything random in the job").show_default();
  verb.option("--holdout-view", options->holdout_views,
              "Condition view (0..15) kept out of training to measure the validation loss; may be repeated");
  verb.flag("--evaluate", options->evaluate,
            "Then judge each adapter by what it makes of the first held-out view (8 when none is named); free");
  verb.option("--name", options->name, "For display (default: the source's name)");
  verb.option("--request-id", options->request_id, "Repeating it gives the same job (default: a new one)");
  verb.flag("--watch", options->watch, "Follow the job until it has ended");
  verb.run([&command, options] { command.run = [&command, options] { return submit(command, *options); }; });
}

}  // namespace espalier::client
