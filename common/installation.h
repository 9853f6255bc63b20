#pragma once

#include <filesystem>

#include "common/status.h"

namespace espalier {

// The folder of the espalier programs: that of the one which runs.
std::filesystem::path programs_folder();

// models/nano of the checkout that the programs were built in, or of their installation; empty: there is none.
std::filesystem::path nano_base(const std::filesystem::path& programs);

// Where an installation keeps what belongs to it alone: lib/espalier beside the folder of the programs. Empty: the
// programs were built here and not installed.
std::filesystem::path private_folder(const std::filesystem::path& programs);

// `base` itself, unless it is kDefaultBase and there is no such folder here: then the nano base of the installation.
inline constexpr char kDefaultBase[] = "models/nano";
std::filesystem::path find_base(const std::filesystem::path& base);

// The program that reads .blend files: a `blender`, or a Python (its file name begins with "python") with the module
// bpy. `wanted` is taken as it is; empty: the environment variable ESPALIER_BLENDER, else .venv-blender/bin/python in a
// folder above the running program (scripts/install-blender makes it), else `blender` on PATH.
// NOT_FOUND naming the remedy: there is none, what is named is no executable file, or is "none".
Result<std::filesystem::path> find_blender(const std::filesystem::path& wanted);

}  // namespace espalier
