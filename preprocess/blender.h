#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/status.h"

// Reading of .blend files by an external Blender: an optional program that is neither linked nor shipped.
namespace espalier::preprocess {

// Whether an asset is a .blend file, by its name.
bool is_blend_name(std::string_view file);

// The verb by which a program is asked to become Blender: `<program> import-blend ROOT FILE BLENDER`, result on
// descriptor 3.
inline constexpr const char* kImportBlendVerb = "import-blend";

// Exit codes of that child before it is Blender.
inline constexpr int kNoConfinement = 126, kNoBlender = 125;

// Child side: checks what FILE begins with, confines the process (confine_converter), and becomes Blender running
// blender/dump_scene.py, which writes a result as scene_file.h describes. Returns only when it could not.
int import_blend_child(const std::filesystem::path& root, const std::string& file,
                       const std::filesystem::path& blender);

}  // namespace espalier::preprocess
