#include <iostream>

#include "cli/app.h"
#include "client/call.h"
#include "client/command.h"
#include "espalier/v1/adapters.grpc.pb.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"

namespace espalier::client {
namespace {

using Remove = std::function<Status(const Command&, const std::string& id)>;

Status remove_job(const Command& command, const std::string& id) {
  v1::DeleteJobRequest request;
  request.set_job_id(id);
  return call(command, &v1::JobService::Stub::DeleteJob, request).status();
}

Status remove_artefact(const Command& command, const std::string& id) {
  v1::DeleteArtefactRequest request;
  request.set_artefact_id(id);
  return call(command, &v1::ArtefactService::Stub::DeleteArtefact, request).status();
}

Status remove_dataset(const Command& command, const std::string& id) {
  v1::DeleteDatasetRequest request;
  request.set_dataset_id(id);
  return call(command, &v1::DatasetService::Stub::DeleteDataset, request).status();
}

Status remove_adapter(const Command& command, const std::string& id) {
  v1::DeleteAdapterRequest request;
  request.set_adapter_id(id);
  return call(command, &v1::AdapterService::Stub::DeleteAdapter, request).status();
}

Status remove_all(const Command& command, const std::vector<std::string>& ids, const Remove& remove) {
  for (const std::string& id : ids) {
    ESP_TRY(remove(command, id));
    if (!command.json) std::cout << id << " is deleted" << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

void add_delete(cli::App& app, Command& command) {
  auto& verb = app.verb("delete", "Remove a job, an artefact, a dataset or an adapter for good");
  verb.require_verb();
  auto ids = std::make_shared<std::vector<std::string>>();
  const auto add = [&](const char* kind, const char* help, const Remove& remove) {
    auto& one = verb.verb(kind, help);
    one.option("id", *ids, "One or more ids").required();
    one.run([&command, ids, remove] {
      command.run = [&command, ids, remove] { return remove_all(command, *ids, remove); };
    });
  };
  add("job", "A job that has ended, with its logs and what it made; its invoice stays", remove_job);
  add("artefact", "An uploaded archive or adapter", remove_artefact);
  add("dataset", "A prepared dataset that no unfinished job uses", remove_dataset);
  add("adapter", "A trained adapter", remove_adapter);
}

}  // namespace espalier::client
