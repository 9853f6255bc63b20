#include "tests/golden/pipeline.h"

#include <torch/types.h>

#include <fstream>

#include "infer/networks.h"
#include "infer/shape.h"
#include "infer/structure.h"
#include "infer/texture.h"
#include "nn/io/safetensors.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"
#include "ovoxel/dual_mesh.h"
#include "tests/golden/ovoxel_tensors.h"

// Whole generations with tiny networks: the stages of the product from noise to voxels, against the reference's own
// run.
namespace espalier::golden {
namespace {

using nlohmann::json;
using nn::SparseTensor;
using nn::TensorMap;

constexpr double kLatentTolerance = 1e-3;  // twelve guided steps amplify the order of sums
constexpr double kVertexTolerance = 1e-5;

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

  // Image tokens of a tier.
  at::Tensor condition(const std::string& tier) const { return named(tensors, "cond_" + tier).to(at::kFloat); }

  nn::LatentNormalization normalization(const std::string& stage) const {
    const json& given = description.at(stage + "_normalization");
    return {given.at("mean").get<std::vector<double>>(), given.at("std").get<std::vector<double>>()};
  }

  infer::ShapeNetworks shape() const {
    return {[this](int tier) -> Result<std::shared_ptr<nn::SLatFlow>> {
              return build<nn::SLatFlow, nn::FlowConfig>(infer::shape_flow_key(tier));
            },
            [this]() -> Result<std::shared_ptr<nn::ScVaeDecoder>> {
              return build<nn::ScVaeDecoder, nn::ScVaeConfig>("shape_slat_decoder");
            }};
  }
};

// The stored noise in the order in which the reference drew it.
infer::Noise stored_noise(const TensorMap& want, Report& report) {
  return [&, drawn = 0](const std::vector<int64_t>& shape) mutable {
    const at::Tensor& next = named(want, drawn == 0 ? "ss_noise" : "noise_" + std::to_string(drawn));
    ++drawn;
    report.expect("shape of the noise", next.sizes() == at::IntArrayRef(shape));
    return next;
  };
}

Result<at::Tensor> sample_structure(const Networks& networks, const infer::Noise& noise) {
  ESP_ASSIGN(const auto flow, (networks.build<nn::SparseStructureFlow, nn::FlowConfig>("sparse_structure_flow_model")));
  return infer::sample_structure(*flow, networks.condition("512"), 1, {}, networks.sampler("sparse_structure"), noise,
                                 {});
}

Result<at::Tensor> occupied(const Networks& networks, const at::Tensor& structure, int64_t resolution) {
  ESP_ASSIGN(const auto decoder,
             (networks.build<nn::SparseStructureDecoder, nn::SsVaeConfig>("sparse_structure_decoder")));
  return nn::occupied_coords(decoder->forward(structure), resolution);
}

// The product's shape stage, from the occupied cells on.
Result<infer::ShapeLatent> sample_shape(const Networks& networks, const json& description, const at::Tensor& structure,
                                        const TensorMap& want, const infer::Noise& noise, Report& report) {
  const std::string type = description.at("pipeline_type");
  const infer::Pipeline* pipeline = infer::find_pipeline(type);
  if (pipeline == nullptr) return absl::NotFoundError("no pipeline " + type);
  infer::ShapeSettings settings;
  settings.pipeline = *pipeline;
  settings.grids = infer::scaled(*pipeline, 1);
  settings.max_num_tokens = description.at("max_num_tokens");
  settings.params = networks.sampler("shape_slat");
  settings.normalization = networks.normalization("shape_slat");
  infer::StageHooks hooks;
  hooks.trace = [&](std::string_view what, const at::Tensor& tensor) {
    if (what == "low_voxels") report.compare("hr_coords", tensor, named(want, "hr_coords"), 0, 0);
  };
  ESP_ASSIGN(const at::Tensor coords, occupied(networks, structure, settings.grids.structure));
  const std::map<int, at::Tensor> conditions{{512, networks.condition("512")}, {1024, networks.condition("1024")}};
  return infer::sample_shape(networks.shape(), settings, coords, conditions, {}, noise, hooks);
}

Result<SparseTensor> sample_texture(const Networks& networks, int tier, const SparseTensor& shape,
                                    const infer::Noise& noise) {
  ESP_ASSIGN(const auto flow, (networks.build<nn::SLatFlow, nn::FlowConfig>(infer::texture_flow_key(tier))));
  const infer::TextureSettings settings{1, networks.sampler("tex_slat"), networks.normalization("shape_slat"),
                                        networks.normalization("tex_slat")};
  return infer::sample_texture(*flow, shape, networks.condition(std::to_string(tier)), settings, {}, noise, {});
}

Result<infer::DecodedShape> compare_shape(const Networks& networks, const infer::ShapeLatent& latent,
                                          const TensorMap& want, Report& report) {
  ESP_ASSIGN(const auto decoder, networks.shape().decoder());
  ESP_ASSIGN(auto shape, infer::decode_shape(*decoder, latent, 0));
  report.compare("voxel_coords", to_tensor(shape.voxels), named(want, "voxel_coords"), 0, 0);
  ESP_ASSIGN(const auto mesh, ovoxel::dual_mesh(shape.view(), ovoxel::Grid::cube(shape.resolution)));
  report.compare("mesh.vertices", to_tensor(mesh.positions), named(want, "mesh_vertices"), kVertexTolerance, 0);
  report.compare("mesh.faces", to_tensor(mesh.triangles), named(want, "mesh_faces"), 0, 0);
  return shape;
}

Status compare_texture(const Networks& networks, const infer::DecodedShape& shape, const SparseTensor& texture,
                       const TensorMap& want, Report& report) {
  ESP_ASSIGN(const auto decoder, (networks.build<nn::ScVaeDecoder, nn::ScVaeConfig>("tex_slat_decoder")));
  ESP_ASSIGN(const auto materials, infer::decode_texture(*decoder, texture, shape.subdivision, 0));
  report.compare("voxel_attrs", to_tensor(materials), named(want, "voxel_attrs"), kLatentTolerance, 0);
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
  ESP_ASSIGN(const TensorMap want, load(c.folder / "tensors.safetensors"));
  ESP_ASSIGN(const auto networks, Networks::open(c.folder.parent_path() / c.description.at("weights_case")));
  const infer::Noise noise = stored_noise(want, report);
  ESP_ASSIGN(const auto structure, sample_structure(networks, noise));
  report.compare("z_s", structure, named(want, "z_s"), kLatentTolerance, 0);
  ESP_ASSIGN(const auto shape, sample_shape(networks, c.description, structure, want, noise, report));
  const SparseTensor& cells = shape.cells;
  report.compare("resolution", static_cast<double>(shape.voxels), c.description.at("res").get<double>(), 0);
  report.compare("coords_final", cells.coords, named(want, "coords_final"), 0, 0);
  report.compare("shape_slat", cells.feats, named(want, "shape_slat"), kLatentTolerance, 0);
  ESP_ASSIGN(const auto decoded, compare_shape(networks, shape, want, report));

  const int tier = infer::find_pipeline(c.description.at("pipeline_type").get<std::string>())->tier;
  ESP_ASSIGN(const auto texture, sample_texture(networks, tier, cells, noise));
  report.compare("tex_slat", texture.feats, named(want, "tex_slat"), kLatentTolerance, 0);
  return compare_texture(networks, decoded, texture, want, report);
}

}  // namespace espalier::golden
