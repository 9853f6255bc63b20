#include "preprocess/command_line.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/events.h"

namespace espalier::preprocess {
namespace {

// Numbers are read as text, so that all faults can be told at once.
struct Texts {
  std::string input, output, base, work_dir, blender;
  std::string resolution = "512", seed = "0", views = "16", render_resolution = "0", render_samples = "32",
              threads = "0", shard = "0/1", progress_fd = "-1";
  std::vector<std::string> merge;
  bool texture_from_default_material = false, keep_voxels = false;
};

void declare(CLI::App& app, Texts& texts) {
  app.add_option("input", texts.input, "zip of assets, folder, single asset, or a prepared dataset");
  app.add_option("-o,--output", texts.output, "prepared dataset to write (.zip)");
  app.add_option("--base", texts.base, "folder of the base model");
  app.add_option("--resolution", texts.resolution, "512 or 1024")->capture_default_str();
  app.add_option("--seed", texts.seed, "of cameras, lights and path tracing")->capture_default_str();
  app.add_option("--views", texts.views, "condition views per object, 1..150")->capture_default_str();
  app.add_option("--render-resolution", texts.render_resolution, "pixels, 64..2048; 0: 1024 x grid scale of the base")
      ->capture_default_str();
  app.add_option("--render-samples", texts.render_samples, "per pixel, 1..4096")->capture_default_str();
  app.add_option("--threads", texts.threads, "CPU threads; 0: one per core")->capture_default_str();
  app.add_flag("--texture-from-default-material", texts.texture_from_default_material,
               "prepares objects without materials and vertex colours for texture, too: as grey");
  app.add_flag("--keep-voxels", texts.keep_voxels, "also writes the voxels that the latents were made of (.vxz)");
  app.add_option("--work-dir", texts.work_dir, "keeps finished objects, so that a stopped run can go on");
  app.add_option("--shard", texts.shard, "I/N: prepare only every N-th asset from place I on, and write a part")
      ->capture_default_str();
  app.add_option("--blender", texts.blender,
                 "reads .blend files: a blender, or a Python with the module bpy; none: refuses them");
  app.add_option("--merge", texts.merge, "parts of all shards to join to the dataset of one whole run")
      ->expected(1, -1);
  app.add_option("--progress-fd", texts.progress_fd, "descriptor for progress events as JSON lines");
  app.allow_extras();
}

template <class T>
void number(const char* name, const std::string& text, T& value, std::vector<std::string>& faults) {
  if (!absl::SimpleAtoi(text, &value)) faults.push_back(absl::StrCat(name, ": \"", text, "\" is not a whole number"));
}

void shard(const std::string& text, PreprocessConfig& config, std::vector<std::string>& faults) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || !absl::SimpleAtoi(text.substr(0, slash), &config.shard) ||
      !absl::SimpleAtoi(text.substr(slash + 1), &config.shards))
    faults.push_back(absl::StrCat("shard: \"", text, "\" is not I/N, like 0/4"));
}

// A merge takes all its settings from the parts.
void check_merge(const CLI::App& app, const Texts& texts, std::vector<std::string>& faults) {
  if (texts.output.empty()) faults.push_back("output: is missing");
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->count() > 0 && name != "--merge" && name != "--output" && name != "--progress-fd")
      faults.push_back(absl::StrCat(name, ": has no meaning with --merge"));
  }
}

}  // namespace

Status parse_command_line(int argc, const char* const* argv, CommandLine& line) {
  CLI::App app("Makes a prepared dataset of 3D assets: structure, shape and texture latents, and condition views.",
               "espalier-preprocess");
  Texts texts;
  declare(app, texts);
  std::vector<std::string> faults;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.help = app.help();
    return absl::OkStatus();
  } catch (const CLI::ParseError& error) {
    faults.push_back(error.what());
  }
  for (const std::string& extra : app.remaining()) faults.push_back(absl::StrCat(extra, ": unknown argument"));
  PreprocessConfig& config = line.config;
  config.input = texts.input;
  config.output = texts.output;
  config.base = texts.base;
  config.work_dir = texts.work_dir;
  config.importer.blender = texts.blender;
  config.texture_from_default_material = texts.texture_from_default_material;
  config.keep_voxels = texts.keep_voxels;
  number("resolution", texts.resolution, config.resolution, faults);
  number("seed", texts.seed, config.seed, faults);
  number("views", texts.views, config.views, faults);
  number("render-resolution", texts.render_resolution, config.render_resolution, faults);
  number("render-samples", texts.render_samples, config.render_samples, faults);
  number("threads", texts.threads, config.threads, faults);
  number("progress-fd", texts.progress_fd, line.progress_fd, faults);
  shard(texts.shard, config, faults);
  line.merge.assign(texts.merge.begin(), texts.merge.end());
  if (!line.merge.empty())
    check_merge(app, texts, faults);
  else if (const Status status = validate(config); !status.ok())
    faults.push_back(std::string(status.message()));
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

int exit_code(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
      return kExitInvalid;
    case absl::StatusCode::kCancelled:
      return kExitCancelled;
    default:
      return kExitFailed;
  }
}

}  // namespace espalier::preprocess
