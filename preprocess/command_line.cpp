#include "preprocess/command_line.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/installation.h"

namespace espalier::preprocess {
namespace {

// Numbers are read as text, so that all faults can be told at once.
struct Texts {
  std::string input, output, base = kDefaultBase, work_dir, blender;
  std::string resolution = "512", seed = "0", views = "16", render_resolution = "0", render_samples = "32",
              threads = "0", shard = "0/1", progress_fd = "-1";
  std::vector<std::string> merge;
  bool texture_from_default_material = false, keep_voxels = false;
};

void declare(cli::App& app, Texts& texts) {
  app.option("input", texts.input, "zip of assets, folder, single asset, or a prepared dataset");
  app.option("-o,--output", texts.output, "prepared dataset to write (.zip)");
  app.option("--base", texts.base, "folder of the base model (default: the nano base)");
  app.option("--resolution", texts.resolution, "512 or 1024").value(cli::ValueKind::kNumber, "INT").show_default();
  app.option("--seed", texts.seed, "of cameras, lights and path tracing")
      .value(cli::ValueKind::kNumber, "INT")
      .show_default();
  app.option("--views", texts.views, "condition views per object, 1..150")
      .value(cli::ValueKind::kNumber, "INT")
      .show_default();
  app.option("--render-resolution", texts.render_resolution, "pixels, 64..2048; 0: 1024 x grid scale of the base")
      .value(cli::ValueKind::kNumber, "INT")
      .show_default();
  app.option("--render-samples", texts.render_samples, "per pixel, 1..4096")
      .value(cli::ValueKind::kNumber, "INT")
      .show_default();
  app.option("--threads", texts.threads, "CPU threads; 0: one per core")
      .value(cli::ValueKind::kNumber, "INT")
      .show_default();
  app.flag("--texture-from-default-material", texts.texture_from_default_material,
           "prepares objects without materials and vertex colours for texture, too: as grey");
  app.flag("--keep-voxels", texts.keep_voxels, "also writes the voxels that the latents were made of (.vxz)");
  app.option("--work-dir", texts.work_dir, "keeps finished objects, so that a stopped run can go on");
  app.option("--shard", texts.shard, "I/N: prepare only every N-th asset from place I on, and write a part")
      .value(cli::ValueKind::kText, "I/N")
      .show_default();
  app.option("--blender", texts.blender,
             "reads .blend files: a blender, or a Python with the module bpy; none: refuses them");
  app.option("--merge", texts.merge, "parts of all shards to join to the dataset of one whole run").one_or_more();
  app.option("--progress-fd", texts.progress_fd, "descriptor for progress events as JSON lines")
      .value(cli::ValueKind::kNumber, "INT");
  app.keep_unknown();
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
void check_merge(const cli::App& app, const Texts& texts, std::vector<std::string>& faults) {
  if (texts.output.empty()) faults.push_back("output: is missing");
  for (const std::string& name : app.given()) {
    if (name != "--merge" && name != "--output" && name != "--progress-fd")
      faults.push_back(absl::StrCat(name, ": has no meaning with --merge"));
  }
}

}  // namespace

Status parse_command_line(int argc, const char* const* argv, CommandLine& line) {
  cli::App app("espalier-preprocess",
               "Makes a prepared dataset of 3D assets: structure, shape and texture latents, and condition views.");
  Texts texts;
  declare(app, texts);
  std::vector<std::string> faults;
  const Status parsed = app.parse(std::vector<std::string>(argv + 1, argv + argc));
  if (absl::IsCancelled(parsed)) {
    line.help = std::string(parsed.message());
    return absl::OkStatus();
  }
  if (!parsed.ok()) faults.emplace_back(parsed.message());
  for (const std::string& extra : app.unknown()) faults.push_back(absl::StrCat(extra, ": unknown argument"));
  PreprocessConfig& config = line.config;
  config.input = texts.input;
  config.output = texts.output;
  config.base = find_base(texts.base);
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

}  // namespace espalier::preprocess
