#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

// A base model of random weights that runs in milliseconds: grid_scale 1/8, so occupancy grid 8, voxel grids 64, 128
// and 192, images 64 and 128.
namespace espalier::infer {

// Writes the folder of a base that ends with the sparse structure; false when something could not be written.
bool write_tiny_base(const std::filesystem::path& folder);

// The same with networks for the shape of both tiers, in ckpts/shape_512, shape_1024 and shape_decoder.
bool write_tiny_shape_base(const std::filesystem::path& folder);

// The same with networks for the texture of both tiers, in ckpts/texture_512, texture_1024 and texture_decoder, and the
// shape's encoder.
bool write_tiny_texture_base(const std::filesystem::path& folder);

// Writes a random adapter that fits each of the base's denoisers; its header says what it is for.
struct TinyAdapter {
  std::string denoiser = "sparse_structure";
  std::string base_sha256 = "";
  int resolution = 0;  // 0: the header does not say
};
bool write_tiny_adapter(const std::filesystem::path& file, uint64_t seed, const TinyAdapter& header = {});

// A PNG of a red rectangle on transparent ground.
std::string picture();

// A PNG of the same without transparency, on white.
std::string opaque_picture();

}  // namespace espalier::infer
