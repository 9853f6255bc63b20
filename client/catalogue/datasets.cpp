#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/call.h"
#include "client/catalogue/verbs.h"
#include "client/job_view.h"
#include "espalier/v1/datasets.grpc.pb.h"

namespace espalier::client {
namespace {

using Datasets = v1::DatasetService::Stub;

std::string denoisers_of(const v1::Dataset& dataset) {
  std::string names;
  for (const int denoiser : dataset.denoisers()) {
    absl::StrAppend(&names, names.empty() ? "" : ",", denoiser_text(static_cast<v1::Denoiser>(denoiser)));
  }
  return names;
}

void print_dataset_row(const v1::Dataset& dataset) {
  std::cout << absl::StrFormat("%-31s %6d objects  resolution %-5d %-10s %s  %s  %s\n", dataset.dataset_id(),
                               dataset.objects(), dataset.resolution(), dataset.base(),
                               local_time(dataset.create_time()), dataset.job_id(), denoisers_of(dataset));
}

std::string describe_dataset(const v1::Dataset& dataset) {
  std::string text = absl::StrCat(dataset.dataset_id(), "  ", dataset.objects(), " objects\n");
  absl::StrAppend(&text, "  base ", dataset.base(), ", resolution ", dataset.resolution(), ", for ",
                  denoisers_of(dataset), "\n  made ", local_time(dataset.create_time()), " by ", dataset.job_id(),
                  "\n  file ", dataset.artefact_id(), ", content ", dataset.content_id(), "\n");
  for (const v1::ObjectReport& report : dataset.failed_objects()) {
    absl::StrAppend(&text, "  left out ", report.path(), ": ", report.code(), ": ", report.message(), "\n");
  }
  return text;
}

Result<v1::Dataset> find_dataset(const Command& command, const std::string& id) {
  v1::GetDatasetRequest request;
  request.set_dataset_id(id);
  ESP_ASSIGN(const auto response, call(command, &Datasets::GetDataset, request));
  return response.dataset();
}

Status list_datasets(const Command& command, int limit) {
  return call_pages(command, &Datasets::ListDatasets, v1::ListDatasetsRequest(), limit, [&](const auto& response) {
    for (const v1::Dataset& dataset : response.datasets()) {
      command.json ? void(std::cout << to_json(dataset) << "\n") : print_dataset_row(dataset);
    }
    return response.datasets_size();
  });
}

Status show_dataset(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto dataset, find_dataset(command, id));
  std::cout << (command.json ? to_json(dataset) + "\n" : describe_dataset(dataset));
  return absl::OkStatus();
}

Result<StoredFile> file_of_dataset(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto dataset, find_dataset(command, id));
  return StoredFile{dataset.artefact_id(), id + ".zip"};
}

}  // namespace

void add_datasets(cli::App& app, Command& command) {
  auto& noun = app.verb("datasets", "List, show and download prepared datasets");
  noun.require_verb();
  noun.options_anywhere();
  add_list_verb(noun, command, "Prepared datasets, newest first", list_datasets);
  add_show_verb(noun, command, "Show one dataset: what is in it, and what was left out", show_dataset);
  add_download_verb(noun, command, "Fetch the .zip file of a dataset, for jobs, espalier-train or eval",
                    file_of_dataset);
}

}  // namespace espalier::client
