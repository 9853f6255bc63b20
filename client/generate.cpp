#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/board.h"
#include "client/command.h"
#include "common/files.h"
#include "common/sha256.h"
#include "espalier/v1/inference.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

constexpr uint64_t kMaxImageBytes = uint64_t{20} << 20;
constexpr uint64_t kMaxAdapterBytes = uint64_t{48} << 20;

struct GenerateOptions {
  std::string image, output = "model.glb", background = "auto";
  std::vector<std::string> adapters;  // FILE or art_…, each with an optional :SCALE
  std::optional<uint64_t> seed;
  std::optional<int> steps, resolution;
  std::optional<double> guidance;
};

// FILE[:SCALE] or art_…[:SCALE]. A file's name may hold a colon when no number follows it.
Status add_adapter(const std::string& text, v1::GenerateRequest& request) {
  std::string source = text;
  auto& use = *request.add_adapters();
  double scale;
  if (const auto colon = text.rfind(':');
      colon != std::string::npos && absl::SimpleAtod(text.substr(colon + 1), &scale)) {
    use.set_scale(scale);
    source = text.substr(0, colon);
  }
  if (source.starts_with("art_") && !std::filesystem::exists(source)) {
    use.set_artefact_id(source);
    return absl::OkStatus();
  }
  ESP_ASSIGN(*use.mutable_inline_file(), read_file(source, kMaxAdapterBytes));
  return absl::OkStatus();
}

Result<v1::GenerateRequest> make_request(const GenerateOptions& options) {
  v1::GenerateRequest request;
  ESP_ASSIGN(*request.mutable_image(), read_file(options.image, kMaxImageBytes));
  if (options.seed) request.set_seed(*options.seed);
  if (options.resolution) request.set_resolution(*options.resolution);
  if (options.background == "keyer") request.set_background_removal(v1::BACKGROUND_REMOVAL_KEYER);
  if (options.background == "none") request.set_background_removal(v1::BACKGROUND_REMOVAL_NONE);
  for (const auto& adapter : options.adapters) ESP_TRY(annotate(add_adapter(adapter, request), "--adapter"));
  if (options.steps) request.mutable_sparse_structure()->set_steps(*options.steps);
  if (options.guidance) request.mutable_sparse_structure()->set_guidance_strength(*options.guidance);
  return request;
}

// The first file goes to --output; any further one beside it under its own name.
class ResultFiles {
 public:
  ResultFiles(std::string output, bool json) : output_(std::move(output)), json_(json) {}

  Status begin(const v1::GeneratedFile& file) {
    ESP_TRY(finish());
    current_ = file;
    return absl::OkStatus();
  }

  void append(const std::string& data) { bytes_ += data; }

  Status finish() {
    if (current_.name().empty()) return absl::OkStatus();
    if (sha256_hex(bytes_) != current_.sha256()) {
      return absl::DataLossError(absl::StrCat(current_.name(), ": the bytes that arrived have another digest"));
    }
    const std::filesystem::path path = count_++ == 0 ? std::filesystem::path(output_)
                                                     : std::filesystem::path(output_).parent_path() /
                                                           std::filesystem::path(current_.name()).filename();
    ESP_TRY(write_file_atomic(path, bytes_));
    if (!json_) std::cout << path.string() << std::endl;
    bytes_.clear();
    current_.Clear();
    return absl::OkStatus();
  }

 private:
  std::string output_;
  bool json_;
  v1::GeneratedFile current_;
  std::string bytes_;
  int count_ = 0;
};

Status receive(const Command& command, grpc::ClientReader<v1::GenerateEvent>& reader, ResultFiles& files,
               bool& finished) {
  Board board(command.json);
  v1::GenerateEvent event;
  while (reader.Read(&event)) {
    if (command.json && !event.has_chunk()) std::cout << to_json(event) << std::endl;
    if (event.has_started()) {
      board.print(absl::StrCat("base ", event.started().base(), ", seed ", event.started().seed()));
    } else if (event.has_progress()) {
      const auto& progress = event.progress();
      const double share = progress.total() > 0 ? static_cast<double>(progress.done()) / progress.total() : 0;
      board.set(progress.stage(), absl::StrFormat("%-17s %s", progress.stage(), bar(share)),
                progress.done() == progress.total());
    } else if (event.has_file()) {
      ESP_TRY(files.begin(event.file()));
    } else if (event.has_chunk()) {
      files.append(event.chunk().data());
    } else if (event.has_finished()) {
      finished = true;
      ESP_TRY(files.finish());
    }
  }
  return absl::OkStatus();
}

Status generate(const Command& command, const GenerateOptions& options) {
  ESP_ASSIGN(const auto request, make_request(options));
  ESP_ASSIGN(const auto security, find_security(command.security, command.inference, command.coordinator));
  ESP_ASSIGN(const auto channel, open_channel(command.inference, security));
  const auto stub = v1::InferenceService::NewStub(channel);
  grpc::ClientContext context;
  const std::stop_callback on_stop(command.stop, [&] { context.TryCancel(); });
  const auto reader = stub->Generate(&context, request);
  ResultFiles files(options.output, command.json);
  bool finished = false;
  const Status received = receive(command, *reader, files, finished);
  if (!received.ok()) context.TryCancel();
  const Status status = from_grpc(reader->Finish());
  ESP_TRY(received);
  ESP_TRY(explain(status, command.inference));
  return finished ? absl::OkStatus() : absl::DataLossError("the service ended the stream without a result");
}

}  // namespace

void add_generate(CLI::App& app, Command& command) {
  auto* verb = app.add_subcommand("generate", "Make a 3D model from an image, with or without adapters");
  auto options = std::make_shared<GenerateOptions>();
  verb->add_option("image", options->image, "PNG, JPEG or WebP")->required();
  verb->add_option("--adapter", options->adapters,
                   "Adapter file or artefact id, with an optional strength: FILE[:SCALE], 0..2; may be repeated");
  verb->add_option("--seed", options->seed, "Repeats a result (default: random, printed)");
  verb->add_option("--resolution", options->resolution, "512, 1024 or 1536 (default: the base's smallest)");
  verb->add_option("--steps", options->steps, "Sampler steps, 1..50 (default: the base's)");
  verb->add_option("--guidance", options->guidance, "Guidance strength, 0..15; 1 means none (default: the base's)");
  verb->add_option("--background", options->background, "Of an opaque image: auto, keyer or none")
      ->check(CLI::IsMember({"auto", "keyer", "none"}))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "File to write")->capture_default_str();
  verb->callback([&command, options] { command.run = [&command, options] { return generate(command, *options); }; });
}

}  // namespace espalier::client
