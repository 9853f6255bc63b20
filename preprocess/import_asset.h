#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "mesh/scene.h"
#include "preprocess/importer.h"

// One asset from file to scene, read in a confined child process.
namespace espalier::preprocess {

// The verb by which a program is asked to be the child: `<program> import-asset ROOT FILE`, result on descriptor 3.
inline constexpr const char* kImportVerb = "import-asset";

// Parent side. `file` is relative to `root`; companions are read below `root` only. A .blend file is read by an
// external Blender (blender.h). `scratch` is an existing folder for the result.
//
// Errors start with a code and a colon ("EMPTY_MESH: ..."), as mesh::import_scene's do; besides those: TIMEOUT,
// OUT_OF_MEMORY, UNREADABLE for a child that crashed or was killed for a forbidden system call, and
// UNSUPPORTED_FEATURE for a .blend file without a Blender that can be confined.
// UNAVAILABLE without a code: no child could be started. CANCELLED.
Result<mesh::Scene> import_asset(const std::filesystem::path& root, const std::string& file, const Importer& importer,
                                 const std::filesystem::path& scratch, std::stop_token stop);

// Child side: confines the process, imports, writes the result to descriptor 3. Returns the exit code; the caller ends
// the process with _exit, without running destructors.
int import_asset_child(const std::filesystem::path& root, const std::string& file);

}  // namespace espalier::preprocess
