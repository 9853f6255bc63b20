#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/command.h"
#include "common/files.h"
#include "common/printable.h"
#include "image/codec.h"
#include "mesh/import.h"
#include "render/preview.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr int kTurnMilliseconds = 4000;  // of a turntable
constexpr int kWebpQuality = 85;

struct RenderOptions {
  std::vector<std::string> files;
  std::string output;
  render::PreviewOptions preview;
  int turntable = 0;  // frames; 0: a still picture
};

// Beside the file, with the extension of what is made.
fs::path output_of(const RenderOptions& options) {
  if (!options.output.empty()) return options.output;
  const char* extension = options.turntable > 0 ? ".webp" : ".png";
  if (options.files.size() > 1) return absl::StrCat("render", extension);
  return fs::path(options.files[0]).replace_extension(extension);
}

Status check(const RenderOptions& options) {
  const fs::path output = output_of(options), extension = output.extension();
  if (extension != ".png" && extension != ".webp") {
    return absl::InvalidArgumentError(absl::StrCat("-o ", output.string(), ": the name must end in .png or .webp"));
  }
  if (options.turntable > 0 && extension != ".webp") {
    return absl::InvalidArgumentError(absl::StrCat("-o ", output.string(), ": a turntable is a .webp file"));
  }
  for (const std::string& file : options.files) {
    std::error_code unknown;
    if (fs::equivalent(file, output, unknown)) {
      return absl::InvalidArgumentError(absl::StrCat("-o ", output.string(), ": this is one of the files to draw"));
    }
  }
  return absl::OkStatus();
}

struct Drawn {
  std::vector<render::PreviewRow> rows;
  std::vector<std::string> warnings;  // of the importer: a texture that is missing is a silent grey
};

Result<Drawn> render_files(const RenderOptions& options, const std::stop_token& stop) {
  render::PreviewOptions preview = options.preview;
  if (options.turntable > 0) preview.views = options.turntable;
  Drawn drawn;
  for (const std::string& file : options.files) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    ESP_ASSIGN(mesh::Scene scene, mesh::import_scene(file));
    for (const std::string& warning : scene.warnings) {
      drawn.warnings.push_back(printable(absl::StrCat(file, ": ", warning)));
    }
    auto views = render::render_preview(std::move(scene), preview);
    if (!views.ok()) return annotate(views.status(), file);
    drawn.rows.push_back({fs::path(file).filename().string(), *std::move(views)});
  }
  return drawn;
}

// Each frame shows one view of every file.
Result<std::string> turntable(const std::vector<render::PreviewRow>& rows) {
  std::vector<image::Image> frames;
  for (size_t view = 0; view < rows[0].views.size(); ++view) {
    std::vector<render::PreviewRow> now;
    for (const render::PreviewRow& row : rows) now.push_back({row.caption, {row.views[view]}});
    frames.push_back(render::preview_sheet(now));
  }
  return image::encode_webp_animation(frames, std::max(1, kTurnMilliseconds / static_cast<int>(frames.size())),
                                      kWebpQuality);
}

Status render_command(const Command& command, const RenderOptions& options) {
  ESP_TRY(check(options));
  const fs::path output = output_of(options);
  ESP_ASSIGN(const Drawn drawn, render_files(options, command.stop));
  const auto& rows = drawn.rows;
  Result<std::string> bytes = options.turntable > 0 ? turntable(rows)
                              : output.extension() == ".webp"
                                  ? image::encode_webp(render::preview_sheet(rows), kWebpQuality)
                                  : image::encode_png(render::preview_sheet(rows));
  ESP_TRY(bytes.status());
  ESP_TRY(write_file_atomic(output, *bytes));
  for (const std::string& warning : drawn.warnings) std::cerr << "warning: " << warning << std::endl;
  if (command.json) {
    const nlohmann::json object = {{"file", output.string()}, {"bytes", bytes->size()}, {"warnings", drawn.warnings}};
    std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  } else {
    std::cout << output.string() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void add_render(cli::App& app, Command& command) {
  auto& verb = app.verb("render", "Draw 3D files with their textures, on this machine; needs no server");
  auto options = std::make_shared<RenderOptions>();
  verb.option("files", options->files, "glb, gltf, obj, ply, stl or fbx; several are drawn in one picture")
      .required()
      .existing_file();
  verb.option("-o,--output", options->output, "PNG or WebP (default: beside the file, or render.png)");
  auto views = verb.option("--views", options->preview.views, "Pictures of each file, evenly around it")
                   .range(1, 16)
                   .show_default();
  verb.option("--turntable", options->turntable, "Instead an animated WebP of this many frames")
      .range(2, 360)
      .excludes(views);
  verb.option("--size", options->preview.size, "Pixels per side of a picture").range(16, 2048).show_default();
  verb.option("--samples", options->preview.samples, "Paths per pixel: more are slower and less noisy")
      .range(1, 4096)
      .show_default();
  verb.run([&command, options] {
    command.needs_coordinator = false;
    command.run = [&command, options] { return render_command(command, *options); };
  });
}

}  // namespace espalier::client
