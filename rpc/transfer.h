#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "espalier/v1/artefacts.grpc.pb.h"

// Moves whole files to and from the coordinator's artefact store; goes on after broken connections.
namespace espalier {

struct TransferOptions {
  std::stop_token stop;  // CANCELLED when set
  // Seconds without any connection after which the transfer gives up with the last error.
  int patience_seconds = 60;
  std::function<void(int64_t done_bytes, int64_t total_bytes)> on_progress;
  const v1::TaskLease* task = nullptr;  // workers: the task that reads what is downloaded
};

// What an upload is stored as; size and digest are taken from the file.
struct UploadDescription {
  v1::ArtefactKind kind = v1::ARTEFACT_KIND_UNSPECIFIED;
  std::string file_name;
  std::string content_type = "application/octet-stream";
  const v1::TaskLease* task = nullptr;  // workers: the task this is an output of
};

// Content the server has already is not sent again. NOT_FOUND: no such file; else the errors of ArtefactService.Upload.
Result<v1::Artefact> upload_file(v1::ArtefactService::StubInterface& stub, const std::filesystem::path& file,
                                 const UploadDescription& description, const TransferOptions& options = {});

// Writes to `destination` in one step once size and digest are right; what arrived before a failure stays in
// "<destination>.part" and is not asked for again. DATA_LOSS: the digest differs.
Result<v1::Artefact> download_file(v1::ArtefactService::StubInterface& stub, const std::string& artefact_id,
                                   const std::filesystem::path& destination, const TransferOptions& options = {});

}  // namespace espalier
