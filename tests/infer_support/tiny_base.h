#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

// A base model of random weights that runs in milliseconds: occupancy grid 8, latent grid 2, images 64.
namespace espalier::infer {

// Writes the folder; false when something could not be written.
bool write_tiny_base(const std::filesystem::path& folder);

// Writes a random adapter for the base's sparse-structure denoiser (or, by its header, for another one).
bool write_tiny_adapter(const std::filesystem::path& file, uint64_t seed,
                        const std::string& denoiser = "sparse_structure", const std::string& base_sha256 = "");

// A PNG of a red rectangle on transparent ground.
std::string picture();

// A PNG of the same without transparency, on white.
std::string opaque_picture();

}  // namespace espalier::infer
