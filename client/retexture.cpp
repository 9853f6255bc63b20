#include <grpcpp/grpcpp.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/command.h"
#include "client/generation/call.h"
#include "client/generation/options.h"
#include "common/files.h"

namespace espalier::client {
namespace {

constexpr uint64_t kMaxMeshBytes = uint64_t{48} << 20;

struct RetextureOptions {
  std::string mesh, image, background = "auto", output = "model.glb";
  std::vector<std::string> adapters;  // FILE or art_…, each with an optional :SCALE
  std::optional<uint64_t> seed;
  std::optional<int> resolution, steps;
  std::optional<double> guidance;
  TextureArguments texture;
  PreviewArguments preview;
  bool keep_uvs = false;
};

Result<v1::RetextureRequest> make_request(const RetextureOptions& options) {
  v1::RetextureRequest request;
  ESP_ASSIGN(const v1::OutputFormat format, format_of(options.mesh, "--mesh"));
  request.set_mesh_format(format);
  ESP_ASSIGN(*request.mutable_mesh_file(), read_file(options.mesh, kMaxMeshBytes));
  ESP_ASSIGN(*request.mutable_image(), read_file(options.image, kMaxImageBytes));
  request.set_background_removal(background_of(options.background));
  if (options.seed) request.set_seed(*options.seed);
  if (options.resolution) request.set_resolution(*options.resolution);
  if (options.steps) request.mutable_texture()->set_steps(*options.steps);
  if (options.guidance) request.mutable_texture()->set_guidance_strength(*options.guidance);
  request.set_keep_uvs(options.keep_uvs);
  fill(options.texture, *request.mutable_mesh());
  for (const std::string& adapter : options.adapters) {
    ESP_TRY(annotate(add_adapter(adapter, false, *request.mutable_adapters()), "--adapter"));
  }
  return request;
}

Status retexture(const Command& command, const RetextureOptions& options) {
  ESP_ASSIGN(const v1::OutputFormat written, format_of(options.output));
  if (written != v1::OUTPUT_FORMAT_GLB) {
    return absl::InvalidArgumentError(absl::StrCat("--output ", options.output, ": must end in .glb"));
  }
  ESP_ASSIGN(auto request, make_request(options));
  GenerationOutputs outputs{{{v1::OUTPUT_FORMAT_GLB, options.output}}};
  add_preview(options.preview, request, outputs);
  return run_generation(
      command, [&](auto& stub, grpc::ClientContext& context) { return stub.Retexture(&context, request); }, outputs);
}

}  // namespace

void add_retexture(cli::App& app, Command& command) {
  auto& verb = app.verb("retexture", "Give a mesh a texture that fits an image");
  auto options = std::make_shared<RetextureOptions>();
  verb.option("--mesh", options->mesh, "One file with the mesh: .glb, .obj, .ply or .stl").required();
  verb.option("--image", options->image, "PNG, JPEG or WebP").required();
  verb.option("--adapter", options->adapters,
              "Texture adapter, file or artefact id, with an optional strength: FILE[:SCALE], 0..2; may be "
              "repeated")
      .one_at_a_time();
  verb.option("--seed", options->seed, "Repeats a result (default: random, printed)");
  verb.option("--resolution", options->resolution, "512, 1024 or 1536 (default: the base's smallest)");
  verb.option("--texture-steps", options->steps, "Sampler steps, 1..50 (default: the base's)");
  verb.option("--texture-guidance", options->guidance, "Guidance strength, 0..15 (default: the base's)");
  add_texture_options(verb, options->texture);
  add_preview_options(verb, options->preview);
  verb.flag("--keep-uvs", options->keep_uvs, "Keep the mesh's own texture coordinates");
  verb.option("--background", options->background, "Of an opaque image: auto, keyer or none")
      .choices({"auto", "keyer", "none"})
      .show_default();
  verb.option("-o,--output", options->output, "The .glb to write").show_default();
  verb.run([&command, options] { command.run = [&command, options] { return retexture(command, *options); }; });
}

}  // namespace espalier::client
