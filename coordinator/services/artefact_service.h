#pragma once

#include "coordinator/storage/artefact_library.h"
#include "espalier/v1/artefacts.grpc.pb.h"

namespace espalier::coordinator {

// ArtefactService in front of the ArtefactLibrary.
class ArtefactServiceHandler final : public v1::ArtefactService::Service {
 public:
  explicit ArtefactServiceHandler(ArtefactLibrary& library) : library_(library) {}

  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>*, v1::UploadResponse*) override;
  grpc::Status StatUpload(grpc::ServerContext*, const v1::StatUploadRequest*, v1::StatUploadResponse*) override;
  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest*,
                        grpc::ServerWriter<v1::DownloadResponse>*) override;
  grpc::Status GetArtefact(grpc::ServerContext*, const v1::GetArtefactRequest*, v1::GetArtefactResponse*) override;

 private:
  ArtefactLibrary& library_;
};

}  // namespace espalier::coordinator
