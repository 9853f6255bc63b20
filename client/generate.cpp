#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
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
  std::string image, background = "auto", stop_after, pipeline, occupancy;
  std::vector<std::string> outputs{"model.glb"};
  std::vector<std::string> adapters, low_resolution_adapters;  // FILE or art_…, each with an optional :SCALE
  std::optional<uint64_t> seed;
  std::optional<int> steps, shape_steps, resolution, samples, max_num_tokens, decimation_target;
  std::optional<double> guidance, shape_guidance;
  bool fill_holes = true, remesh = false;
};

std::string upper(std::string text) { return absl::AsciiStrToUpper(text); }

// The format that an extension names, e.g. ".glb".
Result<v1::OutputFormat> format_of(const std::filesystem::path& output) {
  v1::OutputFormat format;
  const std::string extension = upper(output.extension().string());
  if (extension.size() > 1 && v1::OutputFormat_Parse("OUTPUT_FORMAT_" + extension.substr(1), &format) &&
      format != v1::OUTPUT_FORMAT_UNSPECIFIED && format != v1::OUTPUT_FORMAT_OCCUPANCY) {
    return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--output ", output.string(), ": must end in .glb, .obj, .ply, .stl, .vxz or .npz"));
}

// FILE[:SCALE] or art_…[:SCALE]. A file's name may hold a colon when no number follows it.
Status add_adapter(const std::string& text, bool low_resolution, v1::GenerateRequest& request) {
  std::string source = text;
  auto& use = *request.add_adapters();
  use.set_low_resolution(low_resolution);
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

Status add_shape(const GenerateOptions& options, v1::GenerateRequest& request) {
  v1::PipelineType pipeline = v1::PIPELINE_TYPE_UNSPECIFIED;
  if (!options.pipeline.empty() && !v1::PipelineType_Parse("PIPELINE_TYPE_" + upper(options.pipeline), &pipeline)) {
    return absl::InvalidArgumentError("--pipeline: must be 512, 1024, 1024_cascade or 1536_cascade");
  }
  request.set_pipeline_type(pipeline);
  if (options.resolution) request.set_resolution(*options.resolution);
  if (options.stop_after == "sparse_structure") request.set_stop_after(v1::DENOISER_SPARSE_STRUCTURE);
  if (options.stop_after == "geometry") request.set_stop_after(v1::DENOISER_GEOMETRY);
  if (options.steps) request.mutable_sparse_structure()->set_steps(*options.steps);
  if (options.guidance) request.mutable_sparse_structure()->set_guidance_strength(*options.guidance);
  if (options.shape_steps) request.mutable_shape()->set_steps(*options.shape_steps);
  if (options.shape_guidance) request.mutable_shape()->set_guidance_strength(*options.shape_guidance);
  if (options.samples) request.set_samples(*options.samples);
  if (options.max_num_tokens) request.set_max_num_tokens(*options.max_num_tokens);
  if (options.decimation_target) request.mutable_mesh()->set_decimation_target(*options.decimation_target);
  if (!options.fill_holes) request.mutable_mesh()->set_fill_holes(false);
  if (options.remesh) request.mutable_mesh()->set_remesh(true);
  return absl::OkStatus();
}

Result<v1::GenerateRequest> make_request(const GenerateOptions& options) {
  v1::GenerateRequest request;
  ESP_ASSIGN(*request.mutable_image(), read_file(options.image, kMaxImageBytes));
  if (options.seed) request.set_seed(*options.seed);
  if (options.background == "keyer") request.set_background_removal(v1::BACKGROUND_REMOVAL_KEYER);
  if (options.background == "none") request.set_background_removal(v1::BACKGROUND_REMOVAL_NONE);
  for (const auto& adapter : options.adapters) ESP_TRY(annotate(add_adapter(adapter, false, request), "--adapter"));
  for (const auto& adapter : options.low_resolution_adapters) {
    ESP_TRY(annotate(add_adapter(adapter, true, request), "--low-resolution-adapter"));
  }
  for (const auto& output : options.outputs) {
    ESP_ASSIGN(const v1::OutputFormat format, format_of(output));
    request.add_formats(format);
  }
  if (!options.occupancy.empty()) request.add_formats(v1::OUTPUT_FORMAT_OCCUPANCY);
  ESP_TRY(add_shape(options, request));
  return request;
}

// Each file goes to the output of its format; with several samples their numbers stand before the extension.
class ResultFiles {
 public:
  ResultFiles(const v1::GenerateRequest& request, const GenerateOptions& options, bool json)
      : samples_(request.samples()), json_(json) {
    for (size_t i = 0; i < options.outputs.size(); ++i) {
      outputs_[request.formats(static_cast<int>(i))] = options.outputs[i];
    }
    outputs_[v1::OUTPUT_FORMAT_OCCUPANCY] = options.occupancy;
  }

  Status begin(const v1::GeneratedFile& file) {
    ESP_TRY(finish());
    if (outputs_[file.format()].empty()) {
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
    const std::filesystem::path path = numbered(outputs_[current_.format()]);
    ESP_TRY(write_file_atomic(path, bytes_));
    if (!json_) std::cout << path.string() << std::endl;
    bytes_.clear();
    current_.Clear();
    return absl::OkStatus();
  }

 private:
  std::filesystem::path numbered(const std::filesystem::path& path) const {
    if (samples_ <= 1) return path;
    const std::string stem = absl::StrCat(path.stem().string(), "_", current_.sample());
    return path.parent_path() / (stem + path.extension().string());
  }

  int samples_;
  bool json_;
  std::map<v1::OutputFormat, std::filesystem::path> outputs_;
  v1::GeneratedFile current_;
  std::string bytes_;
};

void print_warnings(const v1::GenerateFinished& finished) {
  for (const std::string& warning : finished.warnings()) std::cerr << "note: " << warning << std::endl;
}

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
      if (!command.json) print_warnings(event.finished());
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
  ResultFiles files(request, options, command.json);
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
  verb->add_option("--low-resolution-adapter", options->low_resolution_adapters,
                   "Geometry adapter for the first pass of a cascade, likewise")
      ->allow_extra_args(false);
  verb->add_option("--seed", options->seed, "Repeats a result (default: random, printed)");
  verb->add_option("--resolution", options->resolution, "512, 1024 or 1536 (default: the base's smallest)");
  verb->add_option("--pipeline", options->pipeline,
                   "512, 1024, 1024_cascade or 1536_cascade (default: by the resolution)");
  verb->add_option("--stop-after", options->stop_after, "Last stage (default: as far as the base goes)")
      ->check(CLI::IsMember({"sparse_structure", "geometry"}));
  verb->add_option("--steps", options->steps, "Sampler steps of the structure, 1..50 (default: the base's)");
  verb->add_option("--guidance", options->guidance, "Its guidance strength, 0..15; 1 means none (default: the base's)");
  verb->add_option("--shape-steps", options->shape_steps, "Sampler steps of the shape, 1..50 (default: the base's)");
  verb->add_option("--shape-guidance", options->shape_guidance, "Its guidance strength, 0..15 (default: the base's)");
  verb->add_option("--samples", options->samples, "Objects to make from one seed, 1..8 (default: 1)");
  verb->add_option("--max-num-tokens", options->max_num_tokens,
                   "Tokens above which a cascade lowers its resolution (default: 49152)");
  verb->add_option("--decimation-target", options->decimation_target,
                   "Triangles at most, 1000..16777216 (default: 500000)");
  verb->add_flag("!--no-fill-holes", options->fill_holes, "Leave small holes of the shape open");
  verb->add_flag("--remesh", options->remesh, "Make the surface anew around the shape: closed, of one side, thicker");
  verb->add_option("--background", options->background, "Of an opaque image: auto, keyer or none")
      ->check(CLI::IsMember({"auto", "keyer", "none"}))
      ->capture_default_str();
  verb->add_option(
          "-o,--output", options->outputs,
          "File to write, by its extension: .glb, .obj, .ply, .stl; .vxz, .npz: the O-Voxel grid; may be repeated")
      ->allow_extra_args(false)
      ->capture_default_str();
  verb->add_option("--occupancy", options->occupancy, "Also write the occupied voxels as .npz");
  verb->callback([&command, options] { command.run = [&command, options] { return generate(command, *options); }; });
}

}  // namespace espalier::client
