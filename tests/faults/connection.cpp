#include "tests/faults/connection.h"

#include <algorithm>

#include "common/sha256.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::faults {
namespace {

constexpr size_t kPiece = 8 * 1024;

std::shared_ptr<grpc::Channel> channel_of(const std::string& address, const Credentials& key) {
  ChannelSecurity security;
  security.key = key;
  auto channel = open_channel(address, security);
  if (!channel.ok()) std::abort();  // a loopback address and no TLS: nothing that could be wrong
  return *std::move(channel);
}

// Sends what is left of the parcel. False: the stream broke, or was broken here.
bool send(grpc::ClientContext& context, grpc::ClientWriter<v1::UploadRequest>& writer, const Parcel& parcel,
          size_t offset) {
  const size_t begin = offset;
  v1::UploadRequest request;
  while (offset < parcel.bytes.size()) {
    if (parcel.cut_at && offset - begin >= *parcel.cut_at) {
      context.TryCancel();
      return false;
    }
    request.set_data(parcel.bytes.substr(offset, kPiece));
    if (!writer.Write(request)) return false;
    offset += request.data().size();
  }
  return true;
}

}  // namespace

Connection::Connection(const std::string& address, const Credentials& key)
    : channel(channel_of(address, key)),
      jobs(v1::JobService::NewStub(channel)),
      artefacts(v1::ArtefactService::NewStub(channel)),
      datasets(v1::DatasetService::NewStub(channel)),
      workers(v1::WorkerService::NewStub(channel)) {}

Result<v1::Artefact> upload_once(const Connection& connection, const Parcel& parcel) {
  v1::UploadRequest first;
  v1::UploadHeader& header = *first.mutable_header();
  header.set_kind(parcel.kind);
  header.set_file_name(parcel.file_name);
  header.set_size_bytes(static_cast<int64_t>(parcel.bytes.size()));
  header.set_sha256(sha256_hex(parcel.bytes));
  if (parcel.lease) *header.mutable_task() = *parcel.lease;

  v1::StatUploadRequest question;
  question.set_sha256(header.sha256());
  question.set_size_bytes(header.size_bytes());
  if (parcel.lease) *question.mutable_task() = *parcel.lease;
  v1::StatUploadResponse known;
  grpc::ClientContext stat_context;
  set_deadline(stat_context, kDeadline);
  ESP_TRY(from_grpc(connection.artefacts->StatUpload(&stat_context, question, &known)));
  header.set_offset(std::clamp<int64_t>(known.received_bytes(), 0, header.size_bytes()));

  grpc::ClientContext context;
  set_deadline(context, kDeadline);
  v1::UploadResponse response;
  const auto writer = connection.artefacts->Upload(&context, &response);
  if (writer->Write(first)) send(context, *writer, parcel, static_cast<size_t>(header.offset()));
  writer->WritesDone();
  ESP_TRY(from_grpc(writer->Finish()));
  return response.artefact();
}

Result<std::string> download_once(const Connection& connection, const std::string& artefact_id,
                                  const v1::TaskLease* lease) {
  grpc::ClientContext context;
  set_deadline(context, kDeadline);
  v1::DownloadRequest request;
  request.set_artefact_id(artefact_id);
  if (lease) *request.mutable_task() = *lease;
  const auto reader = connection.artefacts->Download(&context, request);
  v1::DownloadResponse part;
  v1::Artefact artefact;
  std::string bytes;
  while (reader->Read(&part)) {
    if (part.has_artefact()) artefact = part.artefact();
    bytes += part.data();
  }
  ESP_TRY(from_grpc(reader->Finish()));
  if (sha256_hex(bytes) != artefact.sha256()) return absl::DataLossError("artefact " + artefact_id + " is damaged");
  return bytes;
}

bool is_transient(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status) ||
         absl::IsOutOfRange(status) || absl::IsResourceExhausted(status) || absl::IsUnknown(status);
}

}  // namespace espalier::faults
