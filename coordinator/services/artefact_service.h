#pragma once

#include "coordinator/retention/removal_desk.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/tenants/gate.h"
#include "espalier/v1/artefacts.grpc.pb.h"

namespace espalier::coordinator {

// ArtefactService in front of the ArtefactLibrary.
class ArtefactServiceHandler final : public v1::ArtefactService::Service {
 public:
  ArtefactServiceHandler(Gate& gate, Database& database, ArtefactLibrary& library, RemovalDesk& removal)
      : gate_(gate), database_(database), library_(library), removal_(removal) {}

  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>*, v1::UploadResponse*) override;
  grpc::Status StatUpload(grpc::ServerContext*, const v1::StatUploadRequest*, v1::StatUploadResponse*) override;
  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest*,
                        grpc::ServerWriter<v1::DownloadResponse>*) override;
  grpc::Status GetArtefact(grpc::ServerContext*, const v1::GetArtefactRequest*, v1::GetArtefactResponse*) override;
  grpc::Status ListArtefacts(grpc::ServerContext*, const v1::ListArtefactsRequest*,
                             v1::ListArtefactsResponse*) override;
  grpc::Status DeleteArtefact(grpc::ServerContext*, const v1::DeleteArtefactRequest*,
                              v1::DeleteArtefactResponse*) override;

 private:
  Result<ArtefactRecord> receive(const Caller& caller, const grpc::ServerContext& context,
                                 grpc::ServerReader<v1::UploadRequest>& reader);
  Status send(const Caller& caller, const v1::DownloadRequest& request,
              grpc::ServerWriter<v1::DownloadResponse>& writer);
  Result<ArtefactRecord> find(const Caller& caller, const v1::DownloadRequest& request);
  Result<std::string> tenant_of(const Caller& caller, const v1::StatUploadRequest& request);

  Gate& gate_;
  Database& database_;
  ArtefactLibrary& library_;
  RemovalDesk& removal_;
};

}  // namespace espalier::coordinator
