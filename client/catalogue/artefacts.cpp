#include <filesystem>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/call.h"
#include "client/catalogue/verbs.h"
#include "client/job_view.h"
#include "espalier/v1/artefacts.grpc.pb.h"

namespace espalier::client {
namespace {

using Artefacts = v1::ArtefactService::Stub;

constexpr char kKindPrefix[] = "ARTEFACT_KIND_";

std::string kind_text(v1::ArtefactKind kind) {
  return absl::AsciiStrToLower(v1::ArtefactKind_Name(kind).substr(sizeof kKindPrefix - 1));
}

v1::ArtefactKind kind_named(const std::string& name) {
  v1::ArtefactKind kind = v1::ARTEFACT_KIND_UNSPECIFIED;
  v1::ArtefactKind_Parse(kKindPrefix + absl::AsciiStrToUpper(name), &kind);
  return kind;
}

void print_artefact_row(const v1::Artefact& artefact) {
  std::cout << absl::StrFormat("%-31s %-16s %9s  %s  %-31s %s\n", artefact.artefact_id(), kind_text(artefact.kind()),
                               cli::bytes_text(artefact.size_bytes()), local_time(artefact.create_time()),
                               artefact.job_id().empty() ? "uploaded" : artefact.job_id(), artefact.file_name());
}

std::string describe_artefact(const v1::Artefact& artefact) {
  return absl::StrCat(artefact.artefact_id(), "  ", artefact.file_name(), "\n  ", kind_text(artefact.kind()), ", ",
                      artefact.content_type(), ", ", artefact.size_bytes(), " bytes, sha256 ", artefact.sha256(),
                      "\n  ", artefact.job_id().empty() ? "uploaded " : "made ", local_time(artefact.create_time()),
                      artefact.job_id().empty() ? "" : " by ", artefact.job_id(), "\n");
}

Result<v1::Artefact> find_artefact(const Command& command, const std::string& id) {
  v1::GetArtefactRequest request;
  request.set_artefact_id(id);
  ESP_ASSIGN(const auto response, call(command, &Artefacts::GetArtefact, request));
  return response.artefact();
}

Status list_artefacts(const Command& command, const v1::ListArtefactsRequest& request, int limit) {
  return call_pages(command, &Artefacts::ListArtefacts, request, limit, [&](const auto& response) {
    for (const v1::Artefact& artefact : response.artefacts()) {
      command.json ? void(std::cout << to_json(artefact) << "\n") : print_artefact_row(artefact);
    }
    return response.artefacts_size();
  });
}

Status show_artefact(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto artefact, find_artefact(command, id));
  std::cout << (command.json ? to_json(artefact) + "\n" : describe_artefact(artefact));
  return absl::OkStatus();
}

Result<StoredFile> file_of_artefact(const Command& command, const std::string& id) {
  ESP_ASSIGN(const auto artefact, find_artefact(command, id));
  return StoredFile{id, std::filesystem::path(artefact.file_name()).filename()};
}

}  // namespace

void add_artefacts(cli::App& app, Command& command) {
  auto& noun = app.verb("artefacts", "List, show and download stored files: uploads, datasets, adapters, logs");
  noun.require_verb();
  noun.options_anywhere();
  auto request = std::make_shared<v1::ListArtefactsRequest>();
  auto& list = add_list_verb(noun, command, "Stored files, newest first",
                             [request](const Command& on, int limit) { return list_artefacts(on, *request, limit); });
  list.option("--job", *request->mutable_job_id(), "Only what this job made");
  list.text(
          "--kind", [request](const std::string& name) { request->set_kind(kind_named(name)); }, "Only this kind")
      .choices({"archive", "prepared_dataset", "checkpoint", "adapter", "log", "dataset_part"});
  add_show_verb(noun, command, "Show one stored file", show_artefact);
  add_download_verb(noun, command, "Fetch one stored file", file_of_artefact);
}

}  // namespace espalier::client
