#include "tests/infer_support/tiny_base.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "image/codec.h"
#include "nn/io/safetensors.h"
#include "nn/lora/adapter_file.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"

namespace espalier::infer {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const json kFlow = {{"resolution", 2},     {"in_channels", 4},  {"out_channels", 4},   {"model_channels", 32},
                    {"cond_channels", 32}, {"num_blocks", 1},   {"num_heads", 2},      {"mlp_ratio", 2},
                    {"pe_mode", "rope"},   {"share_mod", true}, {"qk_rms_norm", true}, {"qk_rms_norm_cross", true}};
const json kDecoder = {{"out_channels", 1},
                       {"latent_channels", 4},
                       {"num_res_blocks", 1},
                       {"channels", {8, 8, 8}},
                       {"num_res_blocks_middle", 1}};
// As wide as the structure's denoiser, so that the same adapters fit.
const json kShapeFlow = [] {
  json args = kFlow;
  args["in_channels"] = args["out_channels"] = 8;
  return args;
}();
const json kShapeDecoder = {{"latent_channels", 8},
                            {"model_channels", {16, 8, 8, 8, 8}},
                            {"num_blocks", {1, 0, 0, 0, 0}},
                            {"block_type", std::vector<std::string>(5, "SparseConvNeXtBlock3d")},
                            {"up_block_type", std::vector<std::string>(4, "SparseResBlockC2S3d")},
                            {"block_args", std::vector<json>(5, json::object())},
                            {"use_fp16", false}};
const json kTextureFlow = [] {
  json args = kShapeFlow;
  args["in_channels"] = 16;
  return args;
}();
const json kTextureDecoder = [] {
  json args = kShapeDecoder;
  args["out_channels"] = 6;
  args["pred_subdiv"] = false;
  return args;
}();
const json kShapeEncoder = [] {
  json args = kShapeDecoder;
  args.erase("up_block_type");
  args["model_channels"] = {8, 8, 8, 8, 16};
  args["num_blocks"] = {0, 0, 0, 0, 1};
  args["down_block_type"] = std::vector<std::string>(4, "SparseResBlockS2C3d");
  return args;
}();
const json kEncoder = {{"hidden_size", 32},        {"intermediate_size", 64}, {"num_hidden_layers", 1},
                       {"num_attention_heads", 2}, {"patch_size", 16},        {"num_register_tokens", 1}};

constexpr double kSubdivisionBias = -0.2;  // keeps about a third of the children, as of a surface

// Networks start with zeros in places; noise everywhere makes every weight count.
nn::TensorMap shaken(const nn::TensorMap& parameters, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  nn::TensorMap out;
  for (const auto& [name, tensor] : parameters) {
    out[name] = tensor + 0.1 * torch::randn(tensor.sizes(), generator, torch::kFloat32);
  }
  return out;
}

bool write_model(const fs::path& stem, const char* name, const json& args, const nn::TensorMap& weights) {
  return write_file_atomic(stem.string() + ".json", json{{"name", name}, {"args", args}}.dump()).ok() &&
         nn::write_safetensors(stem.string() + ".safetensors", weights).ok();
}

json sampler(double strength, double rescale) {
  return {{"name", "FlowEulerGuidanceIntervalSampler"},
          {"args", {{"sigma_min", 1e-5}}},
          {"params",
           {{"steps", 4},
            {"guidance_strength", strength},
            {"guidance_rescale", rescale},
            {"guidance_interval", {0.6, 1.0}},
            {"rescale_t", 3.0}}}};
}

json pipeline_json() {
  return {{"name", "Trellis2ImageTo3DPipeline"},
          {"args",
           {{"models", {{"sparse_structure_flow_model", "ckpts/flow"}, {"sparse_structure_decoder", "ckpts/decoder"}}},
            {"sparse_structure_sampler", sampler(3, 0.5)},
            {"image_cond_model", {{"name", "DinoV3FeatureExtractor"}, {"args", {{"model_name", "encoder"}}}}}}}};
}

json shape_pipeline_json() {
  json pipeline = pipeline_json();
  json& args = pipeline["args"];
  args["models"]["shape_slat_flow_model_512"] = "ckpts/shape_512";
  args["models"]["shape_slat_flow_model_1024"] = "ckpts/shape_1024";
  args["models"]["shape_slat_decoder"] = "ckpts/shape_decoder";
  args["shape_slat_sampler"] = sampler(3, 0.5);
  args["shape_slat_normalization"] = {{"mean", std::vector<double>(8, 0.1)}, {"std", std::vector<double>(8, 1.5)}};
  return pipeline;
}

bool write_descriptions(const fs::path& folder, const json& pipeline, const std::vector<int>& tiers,
                        const json& models = json::object()) {
  const json own = {{"name", "tiny"}, {"licence", "MIT"}, {"grid_scale", 0.125}, {"tiers", tiers}, {"models", models}};
  return write_file_atomic(folder / "pipeline.json", pipeline.dump()).ok() &&
         write_file_atomic(folder / "espalier.json", own.dump()).ok();
}

// Denoisers of both tiers, in ckpts/<name>_<tier>.
bool write_flows(const fs::path& folder, const char* name, const json& args, const at::Generator& generator,
                 uint64_t seed) {
  const auto flow = nn::FlowConfig::parse(args);
  if (!flow.ok()) return false;
  for (const int tier : {512, 1024}) {
    if (!write_model(folder / absl::StrCat("ckpts/", name, "_", tier), "SLatFlowModel", args,
                     shaken(nn::SLatFlow::init_parameters(*flow, generator), seed + static_cast<uint64_t>(tier)))) {
      return false;
    }
  }
  return true;
}

template <class Network>
bool write_vae(const fs::path& stem, const char* name, const json& args, const at::Generator& generator,
               uint64_t seed) {
  const auto config = nn::ScVaeConfig::parse(args);
  if (!config.ok()) return false;
  nn::TensorMap weights = shaken(Network::init_parameters(*config, generator), seed);
  for (auto& [key, tensor] : weights) {
    if (key.ends_with("to_subdiv.bias")) tensor = torch::full_like(tensor, kSubdivisionBias);
  }
  return write_model(stem, name, args, weights);
}

bool write_shape_networks(const fs::path& folder) {
  const auto generator = at::detail::createCPUGenerator(6);
  return write_flows(folder, "shape", kShapeFlow, generator, 0) &&
         write_vae<nn::ScVaeDecoder>(folder / "ckpts/shape_decoder", "FlexiDualGridVaeDecoder", kShapeDecoder,
                                     generator, 4);
}

bool write_texture_networks(const fs::path& folder) {
  const auto generator = at::detail::createCPUGenerator(7);
  return write_flows(folder, "texture", kTextureFlow, generator, 1) &&
         write_vae<nn::ScVaeDecoder>(folder / "ckpts/texture_decoder", "SparseUnetVaeDecoder", kTextureDecoder,
                                     generator, 8) &&
         write_vae<nn::ScVaeEncoder>(folder / "ckpts/shape_encoder", "FlexiDualGridVaeEncoder", kShapeEncoder,
                                     generator, 9);
}

bool write_networks(const fs::path& folder) {
  const auto flow = nn::FlowConfig::parse(kFlow);
  const auto decoder = nn::SsVaeConfig::parse(kDecoder);
  const auto encoder = nn::DinoV3Config::parse(kEncoder);
  if (!flow.ok() || !decoder.ok() || !encoder.ok()) return false;
  const auto generator = at::detail::createCPUGenerator(5);
  return write_model(folder / "ckpts/flow", "SparseStructureFlowModel", kFlow,
                     shaken(nn::SparseStructureFlow::init_parameters(*flow, generator), 1)) &&
         write_model(folder / "ckpts/decoder", "SparseStructureDecoder", kDecoder,
                     shaken(nn::SparseStructureDecoder::init_parameters(*decoder, generator), 2)) &&
         write_file_atomic(folder / "encoder/config.json", kEncoder.dump()).ok() &&
         nn::write_safetensors(folder / "encoder/model.safetensors",
                               shaken(nn::DinoV3::init_parameters(*encoder, generator), 3))
             .ok();
}

image::Image rectangle(uint8_t ground_value, uint8_t ground_alpha) {
  image::Image image{48, 40, 4, {}};
  for (int i = 0; i < 48 * 40; ++i) {
    const bool inside = i % 48 >= 10 && i % 48 < 35 && i / 48 >= 8 && i / 48 < 30;
    const auto value = [&](int c) { return inside ? static_cast<uint8_t>(c == 0 ? 200 : 30) : ground_value; };
    image.pixels.insert(image.pixels.end(), {value(0), value(1), value(2), inside ? uint8_t{255} : ground_alpha});
  }
  return image;
}

}  // namespace

bool write_tiny_base(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "ckpts", error);
  fs::create_directories(folder / "encoder", error);
  return !error && write_descriptions(folder, pipeline_json(), {512}) && write_networks(folder);
}

bool write_tiny_shape_base(const fs::path& folder) {
  return write_tiny_base(folder) && write_descriptions(folder, shape_pipeline_json(), {512, 1024}) &&
         write_shape_networks(folder);
}

bool write_tiny_texture_base(const fs::path& folder) {
  json pipeline = shape_pipeline_json();
  json& args = pipeline["args"];
  args["models"]["tex_slat_flow_model_512"] = "ckpts/texture_512";
  args["models"]["tex_slat_flow_model_1024"] = "ckpts/texture_1024";
  args["models"]["tex_slat_decoder"] = "ckpts/texture_decoder";
  args["tex_slat_sampler"] = sampler(1, 0);
  args["tex_slat_normalization"] = {{"mean", std::vector<double>(8, -0.2)}, {"std", std::vector<double>(8, 1.2)}};
  return write_tiny_base(folder) && write_shape_networks(folder) && write_texture_networks(folder) &&
         write_descriptions(folder, pipeline, {512, 1024}, {{"shape_slat_encoder", "ckpts/shape_encoder"}});
}

bool write_tiny_adapter(const fs::path& file, uint64_t seed, const TinyAdapter& header) {
  const auto config = nn::FlowConfig::parse(kFlow);
  const auto suffixes = nn::target_suffixes("attn+mlp");
  if (!config.ok() || !suffixes.ok()) return false;
  const auto generator = at::detail::createCPUGenerator(5);
  auto network = nn::SparseStructureFlow::create(*config, nn::SparseStructureFlow::init_parameters(*config, generator));
  if (!network.ok()) return false;
  nn::LoraConfig lora;
  lora.rank = 4;
  lora.alpha = 4;
  lora.target_suffixes = *suffixes;
  auto adapter = nn::make_adapter((*network)->lora_targets(), lora, seed);
  if (!adapter.ok()) return false;
  auto noise = at::detail::createCPUGenerator(seed);
  for (auto& [module, pair] : adapter->modules) {
    pair.b = 0.5 * torch::randn(pair.b.sizes(), noise, torch::kFloat32);
  }
  nn::AdapterInfo info;
  info.denoiser = header.denoiser;
  info.base_sha256 = header.base_sha256;
  info.resolution = header.resolution;
  return nn::write_adapter(file, *adapter, info).ok();
}

std::string picture() { return image::encode_png(rectangle(0, 0)).value_or(""); }

std::string opaque_picture() { return image::encode_png(rectangle(255, 255)).value_or(""); }

}  // namespace espalier::infer
