#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/files.h"
#include "nn/io/safetensors.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/ss_vae.h"

namespace espalier::preprocess::testing {

struct TinyBase {
  uint64_t seed = 1;          // of the sparse-structure encoder
  uint64_t shape_seed = 2;    // of the shape encoder
  double grid_scale = 0.25;   // occupancy 16^3 -> latent [8, 4, 4, 4]; voxels 128 -> cells 8
  bool shape_encoder = true;  // without it neither geometry nor texture can be prepared
  uint64_t texture_seed = 3;  // of the texture encoder
  bool texture_encoder = true;
};

inline at::Generator generator(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

inline Status write_network(const std::filesystem::path& base, const std::string& stem, const nlohmann::json& model,
                            const nn::TensorMap& tensors) {
  ESP_TRY(nn::write_safetensors(base / (stem + ".safetensors"), tensors));
  return write_file_atomic(base / (stem + ".json"), model.dump());
}

inline nlohmann::json tiny_voxel_encoder() {
  const auto all = [](size_t count, const nlohmann::json& value) { return std::vector<nlohmann::json>(count, value); };
  return {{"model_channels", {8, 8, 8, 8, 8}},
          {"latent_channels", 4},
          {"num_blocks", {0, 1, 0, 0, 1}},
          {"block_type", all(5, "SparseConvNeXtBlock3d")},
          {"down_block_type", all(4, "SparseResBlockS2C3d")},
          {"block_args", all(5, nlohmann::json::object())},
          {"use_fp16", false}};
}

inline Status write_voxel_encoder(const std::filesystem::path& base, const std::string& stem, const char* name,
                                  uint64_t seed) {
  const nlohmann::json args = tiny_voxel_encoder();
  ESP_ASSIGN(const nn::ScVaeConfig config, nn::ScVaeConfig::parse(args));
  return write_network(base, stem, {{"name", name}, {"args", args}},
                       nn::ScVaeEncoder::init_parameters(config, generator(seed)));
}

// A base whose only networks are small random encoders.
inline Status write_tiny_base(const std::filesystem::path& folder, const TinyBase& form = {}) {
  const std::string structure = "ckpts/ss_enc_tiny", shape = "ckpts/shape_enc_tiny", texture = "ckpts/tex_enc_tiny";
  std::filesystem::create_directories(folder / "ckpts");
  const nlohmann::json args = {{"in_channels", 1},           {"latent_channels", 8},  {"num_res_blocks", 1},
                               {"num_res_blocks_middle", 1}, {"channels", {4, 8, 8}}, {"use_fp16", false}};
  ESP_ASSIGN(const nn::SsVaeConfig config, nn::SsVaeConfig::parse(args));
  ESP_TRY(write_network(folder, structure, {{"name", "SparseStructureEncoder"}, {"args", args}},
                        nn::SparseStructureEncoder::init_parameters(config, generator(form.seed))));
  const nlohmann::json pipeline = {{"name", "Trellis2ImageTo3DPipeline"},
                                   {"args", {{"models", {{"sparse_structure_encoder", structure}}}}}};
  nlohmann::json own = {{"name", "tiny"}, {"grid_scale", form.grid_scale}};
  if (form.shape_encoder) {
    ESP_TRY(write_voxel_encoder(folder, shape, "FlexiDualGridVaeEncoder", form.shape_seed));
    own["models"]["shape_slat_encoder"] = shape;
  }
  if (form.texture_encoder) {
    ESP_TRY(write_voxel_encoder(folder, texture, "SparseUnetVaeEncoder", form.texture_seed));
    own["models"]["tex_slat_encoder"] = texture;
  }
  ESP_TRY(write_file_atomic(folder / "pipeline.json", pipeline.dump()));
  return write_file_atomic(folder / "espalier.json", own.dump());
}

}  // namespace espalier::preprocess::testing
