#pragma once

#include <filesystem>

#include "common/status.h"

namespace espalier {

// The folder of the espalier programs: that of the one which runs.
std::filesystem::path programs_folder();

// models/nano of the checkout that the programs were built in, or of their installation; empty: there is none.
std::filesystem::path nano_base(const std::filesystem::path& programs);

// The link through which the programs of an installation find LibTorch: it points to a torch folder (lib/ in it), or
// nowhere before `espalier setup`. Empty: the programs run where they were built, with the LibTorch they were built
// with.
std::filesystem::path libtorch_link(const std::filesystem::path& programs);

// FAILED_PRECONDITION: LibTorch is not in place, so that the programs which need it would not start; says what to do.
Status check_libtorch(const std::filesystem::path& programs);

// `base` itself, unless it is kDefaultBase and there is no such folder here: then the nano base of the installation.
inline constexpr char kDefaultBase[] = "models/nano";
std::filesystem::path find_base(const std::filesystem::path& base);

// The program that reads .blend files: a `blender`, or a Python (its file name begins with "python") with the module
// bpy. `wanted` is taken as it is; empty: the environment variable ESPALIER_BLENDER, else .venv-blender/bin/python in a
// folder above the running program (scripts/install-blender makes it), else `blender` on PATH.
// NOT_FOUND naming the remedy: there is none, what is named is no executable file, or is "none".
Result<std::filesystem::path> find_blender(const std::filesystem::path& wanted);

}  // namespace espalier
