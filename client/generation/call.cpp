#include "client/generation/call.h"

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "cli/board.h"
#include "common/files.h"
#include "common/sha256.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

// Each file goes to the output of its format.
class ResultFiles {
 public:
  ResultFiles(const GenerationOutputs& outputs, bool json) : outputs_(outputs), json_(json) {}

  Status begin(const v1::GeneratedFile& file) {
    ESP_TRY(finish());
    if (!outputs_.paths.contains(file.format())) {
      return absl::DataLossError(absl::StrCat(file.name(), ": the service sent a file that was not asked for"));
    }
    current_ = file;
    return absl::OkStatus();
  }

  void append(const std::string& data) { bytes_ += data; }

  Status finish() {
    if (current_.name().empty()) return absl::OkStatus();
    if (sha256_hex(bytes_) != current_.sha256()) {
      return absl::DataLossError(absl::StrCat(current_.name(), ": the bytes that arrived have another digest"));
    }
    const std::filesystem::path path = numbered(outputs_.paths.at(current_.format()));
    ESP_TRY(write_file_atomic(path, bytes_));
    if (!json_) std::cout << path.string() << std::endl;
    bytes_.clear();
    current_.Clear();
    return absl::OkStatus();
  }

 private:
  std::filesystem::path numbered(const std::filesystem::path& path) const {
    if (outputs_.samples <= 1) return path;
    const std::string stem = absl::StrCat(path.stem().string(), "_", current_.sample());
    return path.parent_path() / (stem + path.extension().string());
  }

  const GenerationOutputs& outputs_;
  bool json_;
  v1::GeneratedFile current_;
  std::string bytes_;
};

void print_warnings(const v1::GenerateFinished& finished) {
  for (const std::string& warning : finished.warnings()) std::cerr << "note: " << warning << std::endl;
}

void print_states(const v1::GenerateFinished& finished) {
  for (const v1::GeneratedObject& object : finished.objects()) {
    if (object.state().empty()) continue;
    const absl::Time expires = absl::FromUnixSeconds(object.state_expire_time().seconds());
    std::cout << "state " << object.state() << " until "
              << absl::FormatTime("%Y-%m-%d %H:%M UTC", expires, absl::UTCTimeZone()) << std::endl;
  }
}

Status receive(const Command& command, grpc::ClientReader<v1::GenerateEvent>& reader, ResultFiles& files,
               bool& finished) {
  cli::Board board(command.json);
  v1::GenerateEvent event;
  while (reader.Read(&event)) {
    if (command.json && !event.has_chunk()) std::cout << to_json(event) << std::endl;
    if (event.has_started()) {
      board.print(absl::StrCat("base ", event.started().base(), ", seed ", event.started().seed()));
    } else if (event.has_progress()) {
      const auto& progress = event.progress();
      const double share = progress.total() > 0 ? static_cast<double>(progress.done()) / progress.total() : 0;
      board.set(progress.stage(), absl::StrFormat("%-17s %s", progress.stage(), cli::bar(share)),
                progress.done() == progress.total());
    } else if (event.has_file()) {
      ESP_TRY(files.begin(event.file()));
    } else if (event.has_chunk()) {
      files.append(event.chunk().data());
    } else if (event.has_finished()) {
      finished = true;
      ESP_TRY(files.finish());
      if (command.json) continue;
      print_states(event.finished());
      print_warnings(event.finished());
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status run_generation(const Command& command, const StartGeneration& start, const GenerationOutputs& outputs) {
  ESP_ASSIGN(const auto security, find_security(command.security, command.inference, command.coordinator));
  ESP_ASSIGN(const auto channel, open_channel(command.inference, security));
  const auto stub = v1::InferenceService::NewStub(channel);
  grpc::ClientContext context;
  const std::stop_callback on_stop(command.stop, [&] { context.TryCancel(); });
  const auto reader = start(*stub, context);
  ResultFiles files(outputs, command.json);
  bool finished = false;
  const Status received = receive(command, *reader, files, finished);
  if (!received.ok()) context.TryCancel();
  const Status status = from_grpc(reader->Finish());
  ESP_TRY(received);
  if (command.stop.stop_requested() && !status.ok()) return absl::CancelledError("stopped");
  ESP_TRY(explain(status, command.inference));
  return finished ? absl::OkStatus() : absl::DataLossError("the service ended the stream without a result");
}

}  // namespace espalier::client
