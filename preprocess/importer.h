#pragma once

#include <cstdint>
#include <filesystem>

// How assets are read: by which programs, within which limits.
namespace espalier::preprocess {

// What a child process that reads an asset may take. Beyond these it has no network, no other files than the asset's
// tree, and no new processes.
struct SandboxLimits {
  uint64_t address_space_bytes = uint64_t{8} << 30;
  uint64_t result_bytes = uint64_t{4} << 30;
  int cpu_seconds = 120;
  int wall_seconds = 180;  // then the child's process group is killed
};

// Blender starts more threads and evaluates modifiers.
inline constexpr SandboxLimits kBlenderLimits = {
    .address_space_bytes = uint64_t{16} << 30, .cpu_seconds = 600, .wall_seconds = 600};

struct Importer {
  // With the import verbs (import_asset.h); empty: `espalier-preprocess` beside the running program.
  std::filesystem::path program{};
  SandboxLimits limits{};
  // Reads .blend files: a `blender`, or a Python with the module bpy; empty: what find_blender() finds; "none": none.
  std::filesystem::path blender{};
  SandboxLimits blender_limits = kBlenderLimits;
};

}  // namespace espalier::preprocess
