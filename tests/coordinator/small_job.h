#pragma once

#include <memory>
#include <string>

#include "espalier/v1/jobs.pb.h"

namespace grpc {
class Channel;
}

// A job as small as one can be, for tests that go over gRPC.
namespace espalier::coordinator {

// The id of an archive, uploaded in one piece by whoever the channel's key is, or by `authorization`.
std::string upload_archive(const std::shared_ptr<grpc::Channel>& channel, const std::string& authorization = "");

// Sparse structure, rank 16, 100 steps.
v1::SubmitJobRequest small_job(const std::string& request_id, const std::string& artefact_id);

}  // namespace espalier::coordinator
