#pragma once

#include <filesystem>

#include "infer/server/inference_service.h"

namespace espalier::infer {

// Reads meshes in a confined child process, as preparation does (preprocess/import_asset.h). `importer`: the program
// with that verb; empty: espalier-preprocess beside the running program.
ImportMesh confined_import(const std::filesystem::path& importer);

}  // namespace espalier::infer
