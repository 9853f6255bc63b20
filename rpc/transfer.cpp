#include "rpc/transfer.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/stoppable_wait.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 256 * 1024;
constexpr auto kFirstPause = std::chrono::milliseconds(250);
constexpr auto kLongestPause = std::chrono::seconds(5);

// Worth another try: the connection, not the request, was at fault.
bool is_transient(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsOutOfRange(status);
}

// Calls `attempt` until it succeeds, fails for good, or has made no progress for the time of patience.
// `progress` tells how far the transfer is.
template <class Attempt, class Progress>
Status persist(const TransferOptions& options, const Attempt& attempt, const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  auto last_progress = Clock::now();
  std::chrono::milliseconds wait = kFirstPause;
  int64_t reached = -1;
  for (;;) {
    const Status status = attempt();
    if (options.stop.stop_requested() && !status.ok()) return absl::CancelledError("the transfer was stopped");
    if (status.ok() || !is_transient(status)) return status;
    if (const int64_t now = progress(); now > reached) {
      reached = now;
      last_progress = Clock::now();
      wait = kFirstPause;
    }
    if (Clock::now() - last_progress > std::chrono::seconds(options.patience_seconds)) return status;
    if (!wait_unless_stopped(wait, options.stop)) return absl::CancelledError("the transfer was stopped");
    wait = std::min<std::chrono::milliseconds>(wait * 2, kLongestPause);
  }
}

// Each attempt first asks how much of this content has arrived, so it goes on where any earlier one, also of another
// process, has stopped. The digest names the content, and the server checks it at the end.
class Upload {
 public:
  Upload(v1::ArtefactService::StubInterface& stub, const fs::path& file, v1::UploadHeader header,
         const TransferOptions& options)
      : stub_(stub), file_(file), header_(std::move(header)), options_(options) {}

  Result<v1::Artefact> run() {
    ESP_TRY(persist(
        options_, [this] { return attempt(); }, [this] { return sent_; }));
    return artefact_;
  }

 private:
  Status attempt() {
    ESP_TRY(find_offset());
    grpc::ClientContext context;
    const std::stop_callback on_stop(options_.stop, [&] { context.TryCancel(); });
    v1::UploadResponse response;
    const auto writer = stub_.Upload(&context, &response);
    v1::UploadRequest first;
    *first.mutable_header() = header_;
    const Status sent = writer->Write(first) ? send_data(*writer) : absl::OkStatus();
    writer->WritesDone();
    const Status finished = from_grpc(writer->Finish());
    if (finished.ok()) artefact_ = response.artefact();
    return sent.ok() ? finished : sent;
  }

  Status find_offset() {
    grpc::ClientContext context;
    set_deadline(context);
    v1::StatUploadRequest request;
    request.set_sha256(header_.sha256());
    request.set_size_bytes(header_.size_bytes());
    if (header_.has_task()) *request.mutable_task() = header_.task();
    v1::StatUploadResponse response;
    ESP_TRY(from_grpc(stub_.StatUpload(&context, request, &response)));
    header_.set_offset(std::clamp<int64_t>(response.received_bytes(), 0, header_.size_bytes()));
    return absl::OkStatus();
  }

  // Ends early, without an error of its own, when the server stops reading: Finish tells why.
  Status send_data(grpc::ClientWriterInterface<v1::UploadRequest>& writer) {
    std::ifstream file(file_, std::ios::binary);
    file.seekg(header_.offset());
    sent_ = header_.offset();
    std::string block(kChunkBytes, '\0');
    while (sent_ < header_.size_bytes()) {
      const auto n = std::min<int64_t>(kChunkBytes, header_.size_bytes() - sent_);
      if (!file.read(block.data(), n))
        return absl::DataLossError(absl::StrCat(file_.string(), ": changed while being sent"));
      v1::UploadRequest request;
      request.set_data(block.data(), static_cast<size_t>(n));
      if (!writer.Write(request)) break;
      sent_ += n;
      if (options_.on_progress) options_.on_progress(sent_, header_.size_bytes());
    }
    return absl::OkStatus();
  }

  v1::ArtefactService::StubInterface& stub_;
  const fs::path& file_;
  v1::UploadHeader header_;
  const TransferOptions& options_;
  int64_t sent_ = 0;
  v1::Artefact artefact_;
};

// Each attempt goes on behind what is in the part file. The digest is checked once all is there: a part of something
// else is found then, if its length did not give it away before.
class Download {
 public:
  Download(v1::ArtefactService::StubInterface& stub, const std::string& artefact_id, const fs::path& destination,
           const TransferOptions& options)
      : stub_(stub), artefact_id_(artefact_id), destination_(destination), options_(options) {
    part_ = destination;
    part_ += ".part";
  }

  Result<v1::Artefact> run() {
    ESP_TRY(persist(
        options_, [this] { return attempt(); }, [this] { return received_; }));
    ESP_ASSIGN(const auto digest, sha256_hex_of_file(part_));
    std::error_code error;
    if (digest != artefact_.sha256()) {
      fs::remove(part_, error);
      return absl::DataLossError(
          absl::StrCat("artefact ", artefact_id_, ": the bytes that arrived have another digest"));
    }
    fs::rename(part_, destination_, error);
    if (error) return absl::InternalError(absl::StrCat(destination_.string(), ": ", error.message()));
    return artefact_;
  }

 private:
  Status attempt() {
    std::error_code error;
    const auto have = fs::file_size(part_, error);
    received_ = error ? 0 : static_cast<int64_t>(have);
    std::ofstream file(part_, std::ios::binary | std::ios::app);
    if (!file) return absl::InternalError(absl::StrCat(part_.string(), ": cannot be written"));
    grpc::ClientContext context;
    const std::stop_callback on_stop(options_.stop, [&] { context.TryCancel(); });
    v1::DownloadRequest request;
    request.set_artefact_id(artefact_id_);
    request.set_offset(received_);
    if (options_.task != nullptr) *request.mutable_task() = *options_.task;
    const auto reader = stub_.Download(&context, request);
    const Status written = receive(*reader, file);
    if (!written.ok()) context.TryCancel();
    const Status finished = from_grpc(reader->Finish());
    if (!written.ok()) return written;
    if (absl::IsOutOfRange(finished)) fs::remove(part_, error);  // a part of something else: start over
    ESP_TRY(finished);
    return received_ == artefact_.size_bytes() ? absl::OkStatus() : absl::UnavailableError("the download ended early");
  }

  Status receive(grpc::ClientReaderInterface<v1::DownloadResponse>& reader, std::ofstream& file) {
    v1::DownloadResponse response;
    while (reader.Read(&response)) {
      if (response.has_artefact()) artefact_ = response.artefact();
      const auto& data = response.data();
      if (!file.write(data.data(), static_cast<std::streamsize>(data.size()))) {
        return absl::ResourceExhaustedError(absl::StrCat(part_.string(), ": cannot be written; is the disk full?"));
      }
      received_ += static_cast<int64_t>(data.size());
      if (options_.on_progress) options_.on_progress(received_, artefact_.size_bytes());
    }
    file.close();
    return file ? absl::OkStatus() : absl::ResourceExhaustedError(absl::StrCat(part_.string(), ": is the disk full?"));
  }

  v1::ArtefactService::StubInterface& stub_;
  const std::string& artefact_id_;
  const fs::path& destination_;
  fs::path part_;
  const TransferOptions& options_;
  int64_t received_ = 0;
  v1::Artefact artefact_;
};

}  // namespace

Result<v1::Artefact> upload_file(v1::ArtefactService::StubInterface& stub, const fs::path& file,
                                 const UploadDescription& description, const TransferOptions& options) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error) return absl::NotFoundError(absl::StrCat(file.string(), ": ", error.message()));
  ESP_ASSIGN(const auto digest, sha256_hex_of_file(file));
  v1::UploadHeader header;
  header.set_kind(description.kind);
  header.set_file_name(description.file_name);
  header.set_content_type(description.content_type);
  header.set_size_bytes(static_cast<int64_t>(size));
  header.set_sha256(digest);
  if (description.task != nullptr) *header.mutable_task() = *description.task;
  return Upload(stub, file, std::move(header), options).run();
}

Result<v1::Artefact> download_file(v1::ArtefactService::StubInterface& stub, const std::string& artefact_id,
                                   const fs::path& destination, const TransferOptions& options) {
  return Download(stub, artefact_id, destination, options).run();
}

}  // namespace espalier
