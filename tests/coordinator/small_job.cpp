#include "tests/coordinator/small_job.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/sha256.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "rpc/credentials.h"

namespace espalier::coordinator {

std::string upload_archive(const std::shared_ptr<grpc::Channel>& channel, const std::string& authorization) {
  v1::ArtefactService::Stub stub(channel);
  grpc::ClientContext context;
  if (!authorization.empty()) context.AddMetadata(kAuthorizationEntry, authorization);
  v1::UploadResponse response;
  const auto writer = stub.Upload(&context, &response);
  const std::string bytes = "a zip of assets";
  v1::UploadRequest part;
  part.mutable_header()->set_kind(v1::ARTEFACT_KIND_ARCHIVE);
  part.mutable_header()->set_file_name("assets.zip");
  part.mutable_header()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  part.mutable_header()->set_sha256(sha256_hex(bytes));
  writer->Write(part);
  part.set_data(bytes);
  writer->Write(part);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.artefact().artefact_id();
}

v1::SubmitJobRequest small_job(const std::string& request_id, const std::string& artefact_id) {
  v1::SubmitJobRequest request;
  request.set_request_id(request_id);
  request.mutable_spec()->set_artefact_id(artefact_id);
  request.mutable_spec()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
  request.mutable_spec()->set_rank(16);
  request.mutable_spec()->set_steps(100);
  return request;
}

}  // namespace espalier::coordinator
