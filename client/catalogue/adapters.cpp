#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/call.h"
#include "client/catalogue/verbs.h"
#include "client/job_view.h"
#include "espalier/v1/adapters.grpc.pb.h"

namespace espalier::client {
namespace {

using Adapters = v1::AdapterService::Stub;

v1::Denoiser denoiser_named(const std::string& name) {
  v1::Denoiser denoiser = v1::DENOISER_UNSPECIFIED;
  v1::Denoiser_Parse("DENOISER_" + absl::AsciiStrToUpper(name), &denoiser);
  return denoiser;
}

void print_adapter_row(const v1::Adapter& adapter) {
  std::cout << absl::StrFormat("%-31s %-17s rank %-3d %5d steps  resolution %-5d %-10s %s  %s\n", adapter.adapter_id(),
                               denoiser_text(adapter.denoiser()), adapter.rank(), adapter.steps(), adapter.resolution(),
                               adapter.base(), local_time(adapter.create_time()), adapter.job_id());
}

std::string describe_adapter(const v1::Adapter& adapter) {
  std::string text = absl::StrCat(adapter.adapter_id(), "  ", denoiser_text(adapter.denoiser()), "\n");
  absl::StrAppendFormat(&text, "  base %s, resolution %d, rank %d, %d steps, learning rate %g\n", adapter.base(),
                        adapter.resolution(), adapter.rank(), adapter.steps(), adapter.learning_rate());
  if (adapter.has_validation_loss_before() && adapter.has_validation_loss_after()) {
    absl::StrAppendFormat(&text, "  validation loss %.4f before, %.4f after\n", adapter.validation_loss_before(),
                          adapter.validation_loss_after());
  }
  absl::StrAppend(&text, "  made ", local_time(adapter.create_time()), " by ", adapter.job_id(), " from ",
                  adapter.dataset_id(), "\n  file ", adapter.artefact_id(), ", ", cli::bytes_text(adapter.size_bytes()),
                  ", sha256 ", adapter.sha256(), "\n");
  return text;
}

Result<v1::Adapter> find_adapter(const Command& command, const std::string& id) {
  v1::GetAdapterRequest request;
  request.set_adapter_id(id);
  ESP_ASSIGN(const auto response, call(command, &Adapters::GetAdapter, request));
  return response.adapter();
}

Status list_adapters(const Command& command, const v1::ListAdaptersRequest& request, int limit) {
  return call_pages(command, &Adapters::ListAdapters, request, limit, [&](const auto& response) {
    for (const v1::Adapter& adapter : response.adapters()) {
      command.json ? void(std::cout << to_json(adapter) << "\n") : print_adapter_row(adapter);
    }
    return response.adapters_size();
  });
}

Status show_adapter(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto adapter, find_adapter(command, id));
  std::cout << (command.json ? to_json(adapter) + "\n" : describe_adapter(adapter));
  return absl::OkStatus();
}

Result<StoredFile> file_of_adapter(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto adapter, find_adapter(command, id));
  return StoredFile{adapter.artefact_id(), id + ".safetensors"};
}

}  // namespace

void add_adapters(cli::App& app, Command& command) {
  auto& noun = app.verb("adapters", "List, show and download trained adapters");
  noun.require_verb();
  noun.options_anywhere();
  auto request = std::make_shared<v1::ListAdaptersRequest>();
  auto& list = add_list_verb(noun, command, "Adapters, newest first",
                             [request](const Command& on, int limit) { return list_adapters(on, *request, limit); });
  list.option("--job", *request->mutable_job_id(), "Only those of this job");
  list.text(
          "--denoiser", [request](const std::string& name) { request->set_denoiser(denoiser_named(name)); },
          "Only those of this denoiser")
      .choices({"sparse_structure", "geometry", "texture"});
  add_show_verb(noun, command, "Show one adapter: how it was made, and its file", show_adapter);
  add_download_verb(noun, command, "Fetch the .safetensors file of an adapter", file_of_adapter);
}

}  // namespace espalier::client
