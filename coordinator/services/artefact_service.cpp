#include "coordinator/services/artefact_service.h"

#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr size_t kMaxUploadPiece = 1 << 20;
constexpr size_t kDownloadPiece = 256 << 10;

Result<ArtefactRecord> receive(ArtefactLibrary& library, grpc::ServerContext& context,
                               grpc::ServerReader<v1::UploadRequest>& reader) {
  v1::UploadRequest part;
  if (!reader.Read(&part) || !part.has_header()) {
    return absl::InvalidArgumentError("header: the first message of an upload must carry it");
  }
  ESP_ASSIGN(const auto upload, library.upload(kLocalTenant, part.header()));
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

Status send(ArtefactLibrary& library, const v1::DownloadRequest& request,
            grpc::ServerWriter<v1::DownloadResponse>& writer) {
  ESP_ASSIGN(const ArtefactRecord artefact, library.find(kLocalTenant, request.artefact_id()));
  ESP_ASSIGN(const auto reader, library.read(artefact, request.offset()));
  v1::DownloadResponse part;
  *part.mutable_artefact() = to_proto(artefact);
  if (!writer.Write(part)) return absl::CancelledError("the client has gone");
  while (true) {
    ESP_ASSIGN(*part.mutable_data(), reader->next(kDownloadPiece));
    if (part.data().empty()) return absl::OkStatus();
    if (!writer.Write(part)) return absl::CancelledError("the client has gone");
  }
}

}  // namespace

grpc::Status ArtefactServiceHandler::Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadRequest>* reader,
                                            v1::UploadResponse* response) {
  const auto artefact = receive(library_, *context, *reader);
  if (artefact.ok()) *response->mutable_artefact() = to_proto(*artefact);
  return to_grpc(artefact.status());
}

grpc::Status ArtefactServiceHandler::StatUpload(grpc::ServerContext*, const v1::StatUploadRequest* request,
                                                v1::StatUploadResponse* response) {
  const auto bytes = library_.received_bytes(kLocalTenant, request->sha256(), request->size_bytes());
  if (bytes.ok()) response->set_received_bytes(*bytes);
  return to_grpc(bytes.status());
}

grpc::Status ArtefactServiceHandler::Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                                              grpc::ServerWriter<v1::DownloadResponse>* writer) {
  return to_grpc(send(library_, *request, *writer));
}

grpc::Status ArtefactServiceHandler::GetArtefact(grpc::ServerContext*, const v1::GetArtefactRequest* request,
                                                 v1::GetArtefactResponse* response) {
  const auto artefact = library_.find(kLocalTenant, request->artefact_id());
  if (artefact.ok()) *response->mutable_artefact() = to_proto(*artefact);
  return to_grpc(artefact.status());
}

}  // namespace espalier::coordinator
