#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/engine.h"
#include "infer/program/output_options.h"

namespace espalier::infer {

// The command line of `espalier-infer retexture`.
struct RetextureOptions {
  EngineOptions engine;
  std::filesystem::path mesh, image, output;
  std::vector<std::string> adapters;  // FILE or FILE:SCALE
  std::string background = "auto";
  PreviewArguments preview;
  RetextureRequest request;  // the rest
};

// Reads the mesh in a confined process, textures it and writes the .glb. INVALID_ARGUMENT names options and files.
Status run_retexture_command(RetextureOptions options);

}  // namespace espalier::infer
