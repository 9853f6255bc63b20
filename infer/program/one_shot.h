#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/engine.h"

namespace espalier::infer {

// The command line of the one-shot form.
struct OneShotOptions {
  EngineOptions engine;
  std::filesystem::path image;
  std::filesystem::path output;
  std::filesystem::path occupancy;    // .npz with `coords` [N, 3] int32; empty: none
  std::vector<std::string> adapters;  // FILE or FILE:SCALE
  std::string background = "auto";    // auto, model, keyer, none
  GenerateRequest request;            // the rest
};

// FILE or FILE:SCALE. A file whose whole name exists is taken as that file.
AdapterUse parse_adapter(const std::string& text);

// Where sample `index` of `count` is written: the path itself for one, else with "_0", "_1", … before the extension.
std::filesystem::path numbered(const std::filesystem::path& path, int index, int count);

// Generates and writes the files. INVALID_ARGUMENT names options and files.
Status run_one_shot(OneShotOptions options);

}  // namespace espalier::infer
