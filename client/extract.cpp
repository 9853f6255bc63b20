#include <grpcpp/grpcpp.h>

#include "cli/app.h"
#include "client/command.h"
#include "client/generation/call.h"
#include "client/generation/options.h"

namespace espalier::client {
namespace {

struct ExtractOptions {
  std::string state;
  std::vector<std::string> outputs{"model.glb"};
  MeshArguments mesh;
  TextureArguments texture;
  PreviewArguments preview;
};

Status extract(const Command& command, const ExtractOptions& options) {
  v1::ExtractGlbRequest request;
  request.set_state(options.state);
  fill(options.mesh, *request.mutable_mesh());
  fill(options.texture, *request.mutable_mesh());
  GenerationOutputs outputs;
  for (const std::string& output : options.outputs) {
    ESP_ASSIGN(const v1::OutputFormat format, format_of(output));
    request.add_formats(format);
    outputs.paths[format] = output;
  }
  add_preview(options.preview, request, outputs);
  return run_generation(
      command, [&](auto& stub, grpc::ClientContext& context) { return stub.ExtractGlb(&context, request); }, outputs);
}

}  // namespace

void add_extract(cli::App& app, Command& command) {
  auto& verb = app.verb("extract", "Make other files of an object that `generate --keep-state` kept");
  auto options = std::make_shared<ExtractOptions>();
  verb.option("state", options->state, "st1.…, as generate printed it").required();
  add_mesh_options(verb, options->mesh);
  add_texture_options(verb, options->texture);
  add_preview_options(verb, options->preview);
  verb.option("-o,--output", options->outputs,
              "File to write, by its extension: .glb, .obj, .ply, .stl, .vxz, .npz; may be repeated")
      .one_at_a_time()
      .show_default();
  verb.run([&command, options] { command.run = [&command, options] { return extract(command, *options); }; });
}

}  // namespace espalier::client
