#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/call.h"
#include "client/command.h"
#include "client/fetch_artefact.h"
#include "client/job_view.h"
#include "client/watch.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"

namespace espalier::client {
namespace {

struct DownloadOptions {
  std::string job_id;
  std::filesystem::path folder = ".";
  bool dataset = false;
  bool logs = false;
};

struct File {
  std::string artefact_id, name;
};

Result<std::string> dataset_artefact(const Command& command, const std::string& dataset_id) {
  v1::GetDatasetRequest request;
  request.set_dataset_id(dataset_id);
  ESP_ASSIGN(const auto response, call(command, &v1::DatasetService::Stub::GetDataset, request));
  return response.dataset().artefact_id();
}

// Log files of the job; of several with one name the newest.
Status add_logs(const Command& command, const std::string& job_id, std::vector<File>& files) {
  v1::ListArtefactsRequest request;
  request.set_job_id(job_id);
  request.set_kind(v1::ARTEFACT_KIND_LOG);
  std::set<std::string> names;
  constexpr int kMostLogs = 1000;
  return call_pages(command, &v1::ArtefactService::Stub::ListArtefacts, request, kMostLogs, [&](const auto& response) {
    for (const auto& artefact : response.artefacts()) {
      const std::string name = std::filesystem::path(artefact.file_name()).filename();
      if (names.insert(name).second) files.push_back({artefact.artefact_id(), name});
    }
    return response.artefacts_size();
  });
}

Result<std::vector<File>> files_of(const Command& command, const v1::Job& job, const DownloadOptions& options) {
  std::vector<File> files;
  for (const auto& status : job.denoisers()) {
    if (!status.has_adapter()) continue;
    files.push_back({status.adapter().artefact_id(), denoiser_text(status.denoiser()) + ".safetensors"});
  }
  if (options.logs) ESP_TRY(add_logs(command, job.job_id(), files));
  if (options.dataset && !job.preparation().dataset_id().empty()) {
    ESP_ASSIGN(const auto artefact, dataset_artefact(command, job.preparation().dataset_id()));
    files.push_back({artefact, "dataset.zip"});
  }
  if (files.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(job.job_id(), " is ", state_text(job.state()), ": it has no files to download"));
  }
  return files;
}

Status download(const Command& command, const DownloadOptions& options) {
  ESP_ASSIGN(const auto job, get_job(command, options.job_id));
  ESP_ASSIGN(const auto files, files_of(command, job, options));
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(options.folder.string(), ": ", error.message()));
  for (const auto& file : files) ESP_TRY(fetch_artefact(command, file.artefact_id, options.folder / file.name));
  return absl::OkStatus();
}

}  // namespace

void add_download(cli::App& app, Command& command) {
  auto& verb = app.verb("download", "Fetch a job's adapters, its prepared dataset and its logs");
  auto options = std::make_shared<DownloadOptions>();
  verb.option("job", options->job_id, "Job id").required();
  verb.option("-o,--output", options->folder, "Folder to write to").show_default();
  verb.flag("--dataset", options->dataset, "Also the prepared dataset (dataset.zip), for further jobs");
  verb.flag("--logs", options->logs,
            "Also the course of each training and its evaluation: metrics.jsonl, TensorBoard events, evaluation.json, "
            "contact_sheet.png");
  verb.run([&command, options] { command.run = [&command, options] { return download(command, *options); }; });
}

}  // namespace espalier::client
