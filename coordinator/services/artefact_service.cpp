#include "coordinator/services/artefact_service.h"

#include "coordinator/scheduling/leases.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr size_t kMaxUploadPiece = 1 << 20;
constexpr size_t kDownloadPiece = 256 << 10;

// Workers name the task that they work on; nobody else may.
Status check_task(const Caller& caller, bool has_task) {
  if (caller.is_worker() == has_task) return absl::OkStatus();
  return invalid_fields({{"task", has_task ? "is for workers" : "must be set: workers name the task they work on"}});
}

}  // namespace

Result<ArtefactRecord> ArtefactServiceHandler::receive(const Caller& caller, const grpc::ServerContext& context,
                                                       grpc::ServerReader<v1::UploadRequest>& reader) {
  v1::UploadRequest part;
  if (!reader.Read(&part) || !part.has_header()) {
    return absl::InvalidArgumentError("header: the first message of an upload must carry it");
  }
  ESP_TRY(check_task(caller, part.header().has_task()));
  ESP_ASSIGN(const auto upload, library_.upload(caller.tenant_id, part.header()));
  if (upload->existing()) return *upload->existing();
  while (reader.Read(&part)) {
    if (!part.has_data()) return absl::InvalidArgumentError("data: every message after the first must carry it");
    if (part.data().size() > kMaxUploadPiece) return absl::InvalidArgumentError("data: is longer than 1 MiB");
    ESP_TRY(upload->write(part.data()));
  }
  // A stream that broke looks like its end: what came is kept for a resumption.
  if (context.IsCancelled()) return absl::CancelledError("the client has gone");
  return upload->finish();
}

Result<ArtefactRecord> ArtefactServiceHandler::find(const Caller& caller, const v1::DownloadRequest& request) {
  ESP_TRY(check_task(caller, request.has_task()));
  if (!caller.is_worker()) return library_.find(caller.tenant_id, request.artefact_id());
  return database_.read(
      [&](soci::session& sql) { return input_of_current_lease(sql, request.task(), request.artefact_id()); });
}

Status ArtefactServiceHandler::send(const Caller& caller, const v1::DownloadRequest& request,
                                    grpc::ServerWriter<v1::DownloadResponse>& writer) {
  ESP_ASSIGN(const ArtefactRecord artefact, find(caller, request));
  ESP_ASSIGN(const auto reader, library_.read(artefact, request.offset()));
  v1::DownloadResponse part;
  *part.mutable_artefact() = to_proto(artefact);
  if (!writer.Write(part)) return absl::CancelledError("the client has gone");
  while (true) {
    ESP_ASSIGN(*part.mutable_data(), reader->next(kDownloadPiece));
    if (part.data().empty()) return absl::OkStatus();
    if (!writer.Write(part)) return absl::CancelledError("the client has gone");
  }
}

Result<std::string> ArtefactServiceHandler::tenant_of(const Caller& caller, const v1::StatUploadRequest& request) {
  ESP_TRY(check_task(caller, request.has_task()));
  if (!caller.is_worker()) return caller.tenant_id;
  return database_.read([&](soci::session& sql) -> Result<std::string> {
    ESP_ASSIGN(const TaskRecord task, task_of_current_lease(sql, request.task()));
    return task.tenant_id;
  });
}

grpc::Status ArtefactServiceHandler::Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadRequest>* reader,
                                            v1::UploadResponse* response) {
  return gate_.admit<v1::UploadRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(const ArtefactRecord artefact, receive(caller, *context, *reader));
    *response->mutable_artefact() = to_proto(artefact);
    return absl::OkStatus();
  });
}

grpc::Status ArtefactServiceHandler::StatUpload(grpc::ServerContext* context, const v1::StatUploadRequest* request,
                                                v1::StatUploadResponse* response) {
  return gate_.admit<v1::StatUploadRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(const std::string tenant_id, tenant_of(caller, *request));
    ESP_ASSIGN(const int64_t bytes, library_.received_bytes(tenant_id, request->sha256(), request->size_bytes()));
    response->set_received_bytes(bytes);
    return absl::OkStatus();
  });
}

grpc::Status ArtefactServiceHandler::Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                                              grpc::ServerWriter<v1::DownloadResponse>* writer) {
  return gate_.admit<v1::DownloadRequest>(*context,
                                          [&](const Caller& caller) { return send(caller, *request, *writer); });
}

grpc::Status ArtefactServiceHandler::GetArtefact(grpc::ServerContext* context, const v1::GetArtefactRequest* request,
                                                 v1::GetArtefactResponse* response) {
  return gate_.admit<v1::GetArtefactRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(const ArtefactRecord artefact, library_.find(caller.tenant_id, request->artefact_id()));
    *response->mutable_artefact() = to_proto(artefact);
    return absl::OkStatus();
  });
}

grpc::Status ArtefactServiceHandler::ListArtefacts(grpc::ServerContext* context,
                                                   const v1::ListArtefactsRequest* request,
                                                   v1::ListArtefactsResponse* response) {
  return gate_.admit<v1::ListArtefactsRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, library_.list(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status ArtefactServiceHandler::DeleteArtefact(grpc::ServerContext* context,
                                                    const v1::DeleteArtefactRequest* request,
                                                    v1::DeleteArtefactResponse*) {
  return gate_.admit<v1::DeleteArtefactRequest>(
      *context, [&](const Caller& caller) { return removal_.delete_artefact(caller, request->artefact_id()); });
}

}  // namespace espalier::coordinator
