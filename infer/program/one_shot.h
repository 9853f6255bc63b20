#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/engine.h"
#include "infer/program/output_options.h"

namespace espalier::infer {

// The command line of the one-shot form.
struct OneShotOptions {
  EngineOptions engine;
  std::filesystem::path image;
  std::vector<std::filesystem::path> outputs;  // each of another format, by its extension
  std::filesystem::path occupancy;             // .npz with `coords` [N, 3] int32; empty: none
  PreviewArguments preview;
  std::vector<std::string> adapters;                 // FILE or FILE:SCALE
  std::vector<std::string> low_resolution_adapters;  // likewise, for the first pass of a cascade
  std::string background = "auto";                   // auto, model, keyer, none
  std::string stop_after = "";  // sparse_structure, geometry, texture; empty: as far as the base goes
  GenerateRequest request;      // the rest
};

// FILE or FILE:SCALE. A file whose whole name exists is taken as that file.
AdapterUse parse_adapter(const std::string& text);

// The bytes of an image file, at most 20 MiB. Errors name "--image".
Result<std::string> read_image(const std::filesystem::path& file);

// auto, model, keyer or none.
image::BackgroundRemoval background_of(const std::string& name);

// Where sample `index` of `count` is written: the path itself for one, else with "_0", "_1", … before the extension.
std::filesystem::path numbered(const std::filesystem::path& path, int index, int count);

// Generates and writes the files. INVALID_ARGUMENT names options and files.
Status run_one_shot(OneShotOptions options);

}  // namespace espalier::infer
