#include "infer/program/program.h"

#include <iostream>

#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "infer/program/one_shot.h"
#include "infer/program/output_options.h"
#include "infer/program/retexture_command.h"
#include "infer/program/sampler_options.h"
#include "infer/program/serve.h"

namespace espalier::infer {
namespace {

void add_engine_options(cli::App& app, EngineOptions& engine) {
  engine.base = kDefaultBase;
  app.option("--base", engine.base, "Folder of the base model").show_default();
  app.option("--device", engine.device, "cpu, or cuda where there is one").show_default();
  app.option("--matting", engine.matting_model, "TorchScript file that finds the foreground of opaque images");
  app.flag("--bf16", engine.bfloat16, "Run the denoisers in bfloat16");
  app.option("--memory", engine.memory, "resident: keep all networks; low: one at a time; auto: by their size")
      .choices({"auto", "resident", "low"})
      .show_default();
}

void add_shape_options(cli::App& app, OneShotOptions& options) {
  GenerateRequest& request = options.request;
  app.option("--pipeline", request.pipeline, "512, 1024, 1024_cascade or 1536_cascade (default: by the resolution)");
  app.option("--stop-after", options.stop_after, "Last stage (default: as far as the base goes)")
      .choices({"sparse_structure", "geometry", "texture"});
  app.option("--low-resolution-adapter", options.low_resolution_adapters,
             "Geometry adapter for the first pass of a cascade: FILE or FILE:SCALE; may be repeated")
      .one_at_a_time();
  add_sampler_options(app, "shape-", " of the shape", request.shape);
  app.option("--max-num-tokens", request.max_num_tokens, "Above this a cascade lowers its resolution, 16..1048576")
      .show_default();
  app.option("--decimation-target", request.decimation_target,
             "Triangles at most, 1000..16777216 (default: the preset's)");
  app.flag("!--no-fill-holes", request.fill_holes, "Leave small holes of the shape open");
  app.flag(
      "--no-remesh", [&request] { request.remesh = false; },
      "Keep the decoded surface, instead of a closed one made anew around it");
  app.option("--remesh-band", request.remesh_band, "By how many voxels, 0.5..4").show_default();
  app.option("--remesh-project", request.remesh_project, "How far its vertices go back to the shape, 0..1")
      .show_default();
}

void add_texture_options(cli::App& app, GenerateRequest& request) {
  add_sampler_options(app, "texture-", " of the texture", request.texture);
  add_texture_file_options(app, request);
  app.flag("--geometry-only", request.geometry_only, "No texture in the files");
}

void add_one_shot_options(cli::App& app, OneShotOptions& options) {
  GenerateRequest& request = options.request;
  add_engine_options(app, options.engine);
  app.option("--image", options.image, "PNG, JPEG or WebP, best with a transparent background");
  app.option("-o,--output", options.outputs,
             "File to write, by its extension: .glb, .obj, .ply, .stl; .vxz, .npz: the O-Voxel grid; may be repeated")
      .one_at_a_time();
  app.option("--occupancy", options.occupancy, "Also write the occupied voxels as .npz");
  app.option("--adapter", options.adapters, "FILE or FILE:SCALE (0..2); may be repeated").one_at_a_time();
  app.option("--background", options.background, "For images without transparency")
      .choices({"auto", "model", "keyer", "none"})
      .show_default();
  app.option("--seed", request.seed, "0..2147483647 (default: random)");
  app.option("--resolution", request.resolution, "512, 1024 or 1536 (default: the base's smallest)");
  app.option("--samples", request.samples, "Objects to generate, 1..8").show_default();
  add_sampler_options(app, "", "", request.sparse_structure);
  app.flag("--pooled", request.pooled_structure, "Halve the voxel grid at resolution 512, without a shape");
  add_shape_options(app, options);
  add_texture_options(app, request);
  add_preview_options(app, options.preview);
}

cli::App& add_retexture(cli::App& app, RetextureOptions& options) {
  cli::App& verb = app.verb("retexture", "Give a mesh a texture that fits an image");
  RetextureRequest& request = options.request;
  add_engine_options(verb, options.engine);
  verb.option("--mesh", options.mesh, "File with the mesh: .glb, .gltf, .obj, .ply, .stl or .fbx").required();
  verb.option("--image", options.image, "PNG, JPEG or WebP, best with a transparent background").required();
  verb.option("-o,--output", options.output, "The .glb to write").required();
  verb.option("--adapter", options.adapters, "FILE or FILE:SCALE (0..2) of texture; may be repeated").one_at_a_time();
  verb.option("--background", options.background, "For images without transparency")
      .choices({"auto", "model", "keyer", "none"})
      .show_default();
  verb.option("--seed", request.seed, "0..2147483647 (default: random)");
  verb.option("--resolution", request.resolution, "512, 1024 or 1536 (default: the base's smallest)");
  verb.flag("--keep-uvs", request.keep_uvs, "Keep the mesh's own texture coordinates");
  add_sampler_options(verb, "texture-", " of the texture", request.texture);
  add_texture_file_options(verb, request);
  add_preview_options(verb, options.preview);
  return verb;
}

// What the command line says about the service; its settings are read from file, environment and these.
struct ServeArguments {
  std::string file;
  std::vector<std::pair<std::string, std::string>> overrides;
  bool print_config = false;

  void option(cli::App& app, const char* flag, const char* key, const char* doc) {
    const auto store = [this, key](const std::string& value) { overrides.emplace_back(key, value); };
    app.text(flag, store, doc);
  }
  void flag(cli::App& app, const char* name, const char* key, const char* doc) {
    app.flag(
        name, [this, key] { overrides.emplace_back(key, "true"); }, doc);
  }
};

cli::App& add_serve(cli::App& app, ServeArguments& arguments) {
  cli::App& serve = app.verb("serve", "Run the gRPC inference service");
  serve.option("--config", arguments.file, "YAML file; configs/infer.yaml documents the settings");
  serve.flag("--print-config", arguments.print_config, "Print the settings in force and end");
  arguments.option(serve, "--listen", "listen", "HOST:PORT");
  arguments.flag(serve, "--allow-plaintext-remote", "allow_plaintext_remote",
                 "Accept an address that is not loopback, without encryption");
  arguments.option(serve, "--base", "base", "Folder of the base model");
  arguments.option(serve, "--device", "device", "cpu, or cuda where there is one");
  arguments.option(serve, "--matting", "matting", "TorchScript file that finds the foreground of opaque images");
  arguments.flag(serve, "--bf16", "bfloat16", "Run the denoisers in bfloat16");
  arguments.option(serve, "--memory", "memory", "resident, low, or auto by the networks' size");
  arguments.option(serve, "--coordinator", "coordinator", "HOST:PORT that knows the keys and keeps the adapters");
  arguments.option(serve, "--states", "states.folder", "Folder that keeps states of generated objects");
  arguments.option(serve, "--max-waiting", "max_waiting", "Requests that may wait for the running one");
  return serve;
}

Status run_serve(const ServeArguments& arguments) {
  ServeOptions options;
  ConfigTable table;
  describe(options, table);
  ESP_TRY(table.load({arguments.file, "ESPALIER_INFER", arguments.overrides}));
  if (arguments.print_config) {
    std::cout << table.print();
    return absl::OkStatus();
  }
  configure_log("infer", options.log_level, options.log_format);
  return serve(options);
}

Status missing(const char* option) { return absl::InvalidArgumentError(std::string(option) + " is required"); }

}  // namespace

int run_program(int argc, char** argv) {
  cli::App app("espalier-infer", "Image to 3D on a base model, with adapters.");
  OneShotOptions one_shot;
  ServeArguments serving;
  add_one_shot_options(app, one_shot);
  RetextureOptions retexture;
  const cli::App& serve_command = add_serve(app, serving);
  const cli::App& retexture_command = add_retexture(app, retexture);
  if (const auto done = app.parse(argc, argv)) return *done;
  configure_log("infer", LogLevel::kInfo, LogFormat::kText);
  Status status;
  if (serve_command.chosen()) {
    status = run_serve(serving);
  } else if (retexture_command.chosen()) {
    status = run_retexture_command(std::move(retexture));
  } else if (one_shot.image.empty() || one_shot.outputs.empty()) {
    status = missing(one_shot.image.empty() ? "--image" : "--output");
  } else {
    status = run_one_shot(std::move(one_shot));
  }
  if (!status.ok()) std::cerr << "espalier-infer: " << status.message() << "\n";
  return exit_code(status);
}

}  // namespace espalier::infer
