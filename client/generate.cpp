#include <grpcpp/grpcpp.h>

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/command.h"
#include "client/generation/call.h"
#include "client/generation/options.h"
#include "common/files.h"

namespace espalier::client {
namespace {

struct GenerateOptions {
  std::string image, background = "auto", stop_after, pipeline, occupancy;
  std::vector<std::string> outputs{"model.glb"};
  std::vector<std::string> adapters, low_resolution_adapters;  // FILE or art_…, each with an optional :SCALE
  std::optional<uint64_t> seed;
  std::optional<int> steps, shape_steps, texture_steps, resolution, samples, max_num_tokens;
  std::optional<double> guidance, shape_guidance, texture_guidance;
  MeshArguments mesh;
  TextureArguments texture;
  PreviewArguments preview;
  bool keep_state = false;
};

Status add_shape(const GenerateOptions& options, v1::GenerateRequest& request) {
  v1::PipelineType pipeline = v1::PIPELINE_TYPE_UNSPECIFIED;
  if (!options.pipeline.empty() &&
      !v1::PipelineType_Parse("PIPELINE_TYPE_" + absl::AsciiStrToUpper(options.pipeline), &pipeline)) {
    return absl::InvalidArgumentError("--pipeline: must be 512, 1024, 1024_cascade or 1536_cascade");
  }
  request.set_pipeline_type(pipeline);
  if (options.resolution) request.set_resolution(*options.resolution);
  v1::Denoiser last;  // the name has been checked
  if (v1::Denoiser_Parse("DENOISER_" + absl::AsciiStrToUpper(options.stop_after), &last)) request.set_stop_after(last);
  if (options.steps) request.mutable_sparse_structure()->set_steps(*options.steps);
  if (options.guidance) request.mutable_sparse_structure()->set_guidance_strength(*options.guidance);
  if (options.shape_steps) request.mutable_shape()->set_steps(*options.shape_steps);
  if (options.shape_guidance) request.mutable_shape()->set_guidance_strength(*options.shape_guidance);
  if (options.texture_steps) request.mutable_texture()->set_steps(*options.texture_steps);
  if (options.texture_guidance) request.mutable_texture()->set_guidance_strength(*options.texture_guidance);
  if (options.samples) request.set_samples(*options.samples);
  if (options.max_num_tokens) request.set_max_num_tokens(*options.max_num_tokens);
  fill(options.mesh, *request.mutable_mesh());
  fill(options.texture, *request.mutable_mesh());
  request.set_keep_state(options.keep_state);
  return absl::OkStatus();
}

Result<v1::GenerateRequest> make_request(const GenerateOptions& options) {
  v1::GenerateRequest request;
  ESP_ASSIGN(*request.mutable_image(), read_file(options.image, kMaxImageBytes));
  if (options.seed) request.set_seed(*options.seed);
  request.set_background_removal(background_of(options.background));
  for (const auto& adapter : options.adapters) {
    ESP_TRY(annotate(add_adapter(adapter, false, *request.mutable_adapters()), "--adapter"));
  }
  for (const auto& adapter : options.low_resolution_adapters) {
    ESP_TRY(annotate(add_adapter(adapter, true, *request.mutable_adapters()), "--low-resolution-adapter"));
  }
  for (const auto& output : options.outputs) {
    ESP_ASSIGN(const v1::OutputFormat format, format_of(output));
    request.add_formats(format);
  }
  if (!options.occupancy.empty()) request.add_formats(v1::OUTPUT_FORMAT_OCCUPANCY);
  ESP_TRY(add_shape(options, request));
  return request;
}

Status generate(const Command& command, const GenerateOptions& options) {
  ESP_ASSIGN(auto request, make_request(options));
  GenerationOutputs outputs;
  outputs.samples = options.samples.value_or(1);
  for (size_t i = 0; i < options.outputs.size(); ++i) {
    outputs.paths[request.formats(static_cast<int>(i))] = options.outputs[i];
  }
  if (!options.occupancy.empty()) outputs.paths[v1::OUTPUT_FORMAT_OCCUPANCY] = options.occupancy;
  add_preview(options.preview, request, outputs);
  return run_generation(
      command, [&](auto& stub, grpc::ClientContext& context) { return stub.Generate(&context, request); }, outputs);
}

}  // namespace

void add_generate(cli::App& app, Command& command) {
  auto& verb = app.verb("generate", "Make a 3D model from an image, with or without adapters");
  auto options = std::make_shared<GenerateOptions>();
  verb.option("image", options->image, "PNG, JPEG or WebP").required();
  verb.option("--adapter", options->adapters,
              "Adapter file or artefact id, with an optional strength: FILE[:SCALE], 0..2; may be repeated");
  verb.option("--low-resolution-adapter", options->low_resolution_adapters,
              "Geometry adapter for the first pass of a cascade, likewise")
      .one_at_a_time();
  verb.option("--seed", options->seed, "Repeats a result (default: random, printed)");
  verb.option("--resolution", options->resolution, "512, 1024 or 1536 (default: the base's smallest)");
  verb.option("--pipeline", options->pipeline, "512, 1024, 1024_cascade or 1536_cascade (default: by the resolution)");
  verb.option("--stop-after", options->stop_after, "Last stage (default: as far as the base goes)")
      .choices({"sparse_structure", "geometry", "texture"});
  verb.option("--steps", options->steps, "Sampler steps of the structure, 1..50 (default: the base's)");
  verb.option("--guidance", options->guidance, "Its guidance strength, 0..15; 1 means none (default: the base's)");
  verb.option("--shape-steps", options->shape_steps, "Sampler steps of the shape, 1..50 (default: the base's)");
  verb.option("--shape-guidance", options->shape_guidance, "Its guidance strength, 0..15 (default: the base's)");
  verb.option("--texture-steps", options->texture_steps, "Sampler steps of the texture, 1..50 (default: the base's)");
  verb.option("--texture-guidance", options->texture_guidance, "Its guidance strength, 0..15 (default: the base's)");
  verb.option("--samples", options->samples, "Objects to make from one seed, 1..8 (default: 1)");
  verb.option("--max-num-tokens", options->max_num_tokens,
              "Tokens above which a cascade lowers its resolution (default: 49152)");
  add_mesh_options(verb, options->mesh);
  add_texture_options(verb, options->texture);
  verb.flag("--keep-state", options->keep_state,
            "Keep the object at the service for a while and print its state, for `espalier extract`");
  verb.option("--background", options->background, "Of an opaque image: auto, keyer or none")
      .choices({"auto", "keyer", "none"})
      .show_default();
  verb.option("-o,--output", options->outputs,
              "File to write, by its extension: .glb, .obj, .ply, .stl; .vxz, .npz: the O-Voxel grid; may be repeated")
      .one_at_a_time()
      .show_default();
  verb.option("--occupancy", options->occupancy, "Also write the occupied voxels as .npz");
  add_preview_options(verb, options->preview);
  verb.run([&command, options] { command.run = [&command, options] { return generate(command, *options); }; });
}

}  // namespace espalier::client
