#include "tests/golden/pipeline.h"

#include <torch/types.h>

#include <fstream>

#include "infer/cascade.h"
#include "infer/samplers/flow_euler.h"
#include "nn/io/safetensors.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"
#include "nn/networks/voxel_channels.h"
#include "tests/golden/decoded_mesh.h"

// Whole generations with tiny networks: every stage from noise to voxels, against the reference's own run.
namespace espalier::golden {
namespace {

using infer::Conditioning;
using nlohmann::json;
using nn::SparseTensor;
using nn::TensorMap;

constexpr double kLatentTolerance = 1e-3;  // twelve guided steps amplify the order of sums

Result<TensorMap> load(const std::filesystem::path& file) {
  ESP_ASSIGN(const auto opened, nn::SafetensorsFile::open(file));
  return opened.tensors();
}

// The networks of the `weights` case, built when asked for.
struct Networks {
  json description;
  TensorMap tensors;  // "<network>.<key>", and the conditions

  static Result<Networks> open(const std::filesystem::path& folder) {
    std::ifstream file(folder / "case.json");
    Networks networks{json::parse(file), {}};
    ESP_ASSIGN(networks.tensors, load(folder / "weights.safetensors"));
    ESP_ASSIGN(auto conditions, load(folder / "tensors.safetensors"));
    networks.tensors.merge(conditions);
    return networks;
  }

  template <class Network, class Config>
  Result<std::unique_ptr<Network>> build(const std::string& name) const {
    ESP_ASSIGN(const auto config, Config::parse(description.at("model_args").at(name)));
    TensorMap own;
    for (const auto& [key, tensor] : tensors) {
      if (key.starts_with(name + ".")) own[key.substr(name.size() + 1)] = tensor.to(at::kFloat);
    }
    return Network::create(config, own);
  }

  infer::SamplerParams sampler(const std::string& stage) const {
    const json& given = description.at("sampler_params").at(stage);
    infer::SamplerParams params;
    params.sigma_min = description.at("sigma_min");
    params.steps = given.at("steps");
    params.rescale_t = given.at("rescale_t");
    params.guidance_strength = given.at("guidance_strength");
    params.guidance_rescale = given.at("guidance_rescale");
    params.interval_start = given.at("guidance_interval")[0];
    params.interval_end = given.at("guidance_interval")[1];
    return params;
  }

  at::Tensor condition(const std::string& tier, Conditioning conditioning) const {
    const at::Tensor tokens = tensors.at("cond_" + tier).to(at::kFloat);
    return conditioning == Conditioning::kImage ? tokens : at::zeros_like(tokens);
  }

  // [2, C]: mean and standard deviation of a structured latent.
  at::Tensor normalization(const std::string& stage) const {
    const json& given = description.at(stage + "_normalization");
    return at::stack({torch::tensor(given.at("mean").get<std::vector<float>>()),
                      torch::tensor(given.at("std").get<std::vector<float>>())});
  }
};

// A structured latent on `coords`, in the VAE's space. `concat`: further input channels.
Result<at::Tensor> sample_latent(const Networks& networks, const std::string& stage, const std::string& tier,
                                 const at::Tensor& coords, const at::Tensor& noise, const at::Tensor& concat) {
  const std::string model = (stage == "shape_slat" ? "shape_slat_flow_model_" : "tex_slat_flow_model_") + tier;
  ESP_ASSIGN(const auto flow, (networks.build<nn::SLatFlow, nn::FlowConfig>(model)));
  ESP_ASSIGN(const auto x, SparseTensor::create(noise, coords, 1));
  const infer::Predict predict = [&](const at::Tensor& rows, float t, Conditioning conditioning) {
    return flow->forward(x.with(rows), torch::full({1}, t), networks.condition(tier, conditioning), concat);
  };
  ESP_ASSIGN(const auto latent, infer::sample(predict, noise, networks.sampler(stage), {noise.size(0)}));
  const at::Tensor scale = networks.normalization(stage);
  return latent * scale[1] + scale[0];
}

Result<at::Tensor> sample_structure(const Networks& networks, const at::Tensor& noise) {
  ESP_ASSIGN(const auto flow, (networks.build<nn::SparseStructureFlow, nn::FlowConfig>("sparse_structure_flow_model")));
  const infer::Predict predict = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    return flow->forward(x, torch::full({1}, t), networks.condition("512", conditioning));
  };
  return infer::sample(predict, noise, networks.sampler("sparse_structure"));
}

Result<at::Tensor> occupied(const Networks& networks, const at::Tensor& structure, int64_t resolution) {
  ESP_ASSIGN(const auto decoder,
             (networks.build<nn::SparseStructureDecoder, nn::SsVaeConfig>("sparse_structure_decoder")));
  return nn::occupied_coords(decoder->forward(structure), resolution);
}

// A cascade's first pass: the cells of the second.
Result<at::Tensor> refined(const Networks& networks, const json& description, const at::Tensor& coords,
                           const TensorMap& want, Report& report) {
  ESP_ASSIGN(const auto low, sample_latent(networks, "shape_slat", "512", coords, want.at("noise_1"), {}));
  ESP_ASSIGN(const auto decoder, (networks.build<nn::ScVaeDecoder, nn::ScVaeConfig>("shape_slat_decoder")));
  ESP_ASSIGN(const auto cells, SparseTensor::create(low, coords, 1));
  const at::Tensor fine = decoder->upsample(cells, decoder->config().levels() - 1);
  report.compare("hr_coords", fine, want.at("hr_coords"), 0, 0);
  const int64_t resolution = std::stoll(description.at("pipeline_type").get<std::string>());
  ESP_ASSIGN(const auto tokens, infer::cascade_tokens(fine, 512, resolution, description.at("max_num_tokens")));
  report.compare("resolution", static_cast<double>(tokens.resolution), description.at("res").get<double>(), 0);
  return tokens.coords;
}

Status compare_decoded(const Networks& networks, const at::Tensor& shape, const at::Tensor& texture,
                       const at::Tensor& coords, int resolution, const TensorMap& want, Report& report) {
  ESP_ASSIGN(const auto shape_decoder, (networks.build<nn::ScVaeDecoder, nn::ScVaeConfig>("shape_slat_decoder")));
  ESP_ASSIGN(const auto texture_decoder, (networks.build<nn::ScVaeDecoder, nn::ScVaeConfig>("tex_slat_decoder")));
  ESP_ASSIGN(const auto cells, SparseTensor::create(shape, coords, 1));
  const auto decoded = shape_decoder->forward(cells);
  const at::Tensor voxels = decoded.voxels.coords.narrow(1, 1, 3);
  report.compare("voxel_coords", voxels, want.at("voxel_coords"), 0, 0);
  const auto grid = nn::decoded_dual_grid(decoded.voxels.feats, shape_decoder->config().voxel_margin);
  ESP_TRY(compare_mesh(report, "mesh", voxels, grid, resolution, want.at("mesh_vertices"), want.at("mesh_faces")));
  const auto textured = texture_decoder->forward(cells.with(texture), decoded.subdivisions);
  report.compare("voxel_attrs", nn::decoded_attributes(textured.voxels.feats), want.at("voxel_attrs"), kLatentTolerance,
                 0);
  return absl::OkStatus();
}

}  // namespace

Status run_pipeline_weights(const Case& c, Report& report) {
  ESP_ASSIGN(const auto networks, Networks::open(c.folder));
  for (const char* name : {"shape_slat_decoder", "tex_slat_decoder"}) {
    report.expect(name, networks.build<nn::ScVaeDecoder, nn::ScVaeConfig>(name).ok());
  }
  return absl::OkStatus();
}

Status run_pipeline(const Case& c, Report& report) {
  const at::NoGradGuard no_grad;
  const std::string type = c.description.at("pipeline_type"), tier = type == "512" ? "512" : "1024";
  ESP_ASSIGN(const TensorMap want, load(c.folder / "tensors.safetensors"));
  ESP_ASSIGN(const auto networks, Networks::open(c.folder.parent_path() / c.description.at("weights_case")));
  ESP_ASSIGN(const auto structure, sample_structure(networks, want.at("ss_noise")));
  report.compare("z_s", structure, want.at("z_s"), kLatentTolerance, 0);
  ESP_ASSIGN(at::Tensor coords, occupied(networks, structure, type == "1024" ? 64 : 32));
  const bool cascade = type.ends_with("_cascade");
  if (cascade) {
    ESP_ASSIGN(coords, refined(networks, c.description, coords, want, report));
  }
  report.compare("coords_final", coords, want.at("coords_final"), 0, 0);

  const auto &shape_noise = want.at(cascade ? "noise_2" : "noise_1"),
             &texture_noise = want.at(cascade ? "noise_3" : "noise_2");
  ESP_ASSIGN(const auto shape, sample_latent(networks, "shape_slat", tier, coords, shape_noise, {}));
  report.compare("shape_slat", shape, want.at("shape_slat"), kLatentTolerance, 0);
  const at::Tensor scale = networks.normalization("shape_slat");
  ESP_ASSIGN(const auto texture,
             sample_latent(networks, "tex_slat", tier, coords, texture_noise, (shape - scale[0]) / scale[1]));
  report.compare("tex_slat", texture, want.at("tex_slat"), kLatentTolerance, 0);
  return compare_decoded(networks, shape, texture, coords, c.description.at("res"), want, report);
}

}  // namespace espalier::golden
