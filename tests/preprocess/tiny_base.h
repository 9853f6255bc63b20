#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/files.h"
#include "nn/io/safetensors.h"
#include "nn/networks/ss_vae.h"

namespace espalier::preprocess::testing {

// A base whose only network is a small random sparse-structure encoder; occupancy 16^3 -> latent [8, 4, 4, 4].
inline Status write_tiny_base(const std::filesystem::path& folder, uint64_t seed = 1) {
  const std::string stem = "ckpts/ss_enc_tiny";
  std::filesystem::create_directories(folder / "ckpts");
  const nlohmann::json args = {{"in_channels", 1},           {"latent_channels", 8},  {"num_res_blocks", 1},
                               {"num_res_blocks_middle", 1}, {"channels", {4, 8, 8}}, {"use_fp16", false}};
  ESP_ASSIGN(const nn::SsVaeConfig config, nn::SsVaeConfig::parse(args));
  const auto tensors =
      nn::SparseStructureEncoder::init_parameters(config, at::make_generator<at::CPUGeneratorImpl>(seed));
  ESP_TRY(nn::write_safetensors(folder / (stem + ".safetensors"), tensors));
  const nlohmann::json model = {{"name", "SparseStructureEncoder"}, {"args", args}};
  const nlohmann::json pipeline = {{"name", "Trellis2ImageTo3DPipeline"},
                                   {"args", {{"models", {{"sparse_structure_encoder", stem}}}}}};
  const nlohmann::json own = {{"name", "tiny"}, {"grid_scale", 0.25}};
  ESP_TRY(write_file_atomic(folder / (stem + ".json"), model.dump()));
  ESP_TRY(write_file_atomic(folder / "pipeline.json", pipeline.dump()));
  return write_file_atomic(folder / "espalier.json", own.dump());
}

}  // namespace espalier::preprocess::testing
