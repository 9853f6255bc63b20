#include <algorithm>

#include "common/files.h"
#include "mesh/normalize.h"
#include "nn/io/safetensors.h"
#include "ovoxel/pbr_voxels.h"
#include "tests/golden/golden.h"
#include "tests/golden/ovoxel_tensors.h"

// Materials to voxels: the same voxels, attributes within one step of a byte.
namespace espalier::golden {
namespace {

using nn::SafetensorsFile;

constexpr double kLargestDifference = 1;  // where the last bit of a float mean falls on either side of a whole byte
constexpr double kMeanDifference = 0.01;

Result<std::optional<mesh::Texture>> texture_of(const nlohmann::json& entry, const SafetensorsFile& input,
                                                mesh::Scene& scene) {
  if (entry.is_null()) return std::optional<mesh::Texture>();
  ESP_ASSIGN(const at::Tensor pixels, input.tensor(entry.at("tensor").get<std::string>()));
  mesh::Texture out;
  out.image = static_cast<int>(scene.images.size());
  scene.images.push_back(dumped_image(pixels));
  const std::string extension = entry.at("extension");
  out.wrap_u = out.wrap_v = extension == "REPEAT"   ? mesh::Wrap::kRepeat
                            : extension == "MIRROR" ? mesh::Wrap::kMirror
                                                    : mesh::Wrap::kClamp;
  out.filter = entry.at("interpolation") == "Closest" ? mesh::Filter::kNearest : mesh::Filter::kLinear;
  return std::optional<mesh::Texture>(out);
}

Result<mesh::Material> material_of(const nlohmann::json& entry, const SafetensorsFile& input, mesh::Scene& scene) {
  mesh::Material out;
  for (size_t c = 0; c < 3; ++c) out.base_color[c] = entry.at("baseColorFactor").at(c);
  out.alpha = entry.at("alphaFactor");
  out.metallic = entry.at("metallicFactor");
  out.roughness = entry.at("roughnessFactor");
  out.alpha_cutoff = entry.at("alphaCutoff");
  const std::string mode = entry.at("alphaMode");
  out.alpha_mode = mode == "MASK"    ? mesh::AlphaMode::kMask
                   : mode == "BLEND" ? mesh::AlphaMode::kBlend
                                     : mesh::AlphaMode::kOpaque;
  ESP_ASSIGN(out.base_color_texture, texture_of(entry.at("baseColorTexture"), input, scene));
  ESP_ASSIGN(out.alpha_texture, texture_of(entry.at("alphaTexture"), input, scene));
  ESP_ASSIGN(out.metallic_texture, texture_of(entry.at("metallicTexture"), input, scene));
  ESP_ASSIGN(out.roughness_texture, texture_of(entry.at("roughnessTexture"), input, scene));
  return out;
}

Result<mesh::Mesh> mesh_of(const nlohmann::json& entry, const SafetensorsFile& input) {
  const std::string prefix = entry.at("prefix");
  ESP_ASSIGN(const at::Tensor vertices, input.tensor(prefix + "vertices"));
  ESP_ASSIGN(const at::Tensor faces, input.tensor(prefix + "faces"));
  ESP_ASSIGN(const at::Tensor ids, input.tensor(prefix + "mat_ids"));
  at::Tensor uvs;
  if (entry.at("has_uvs").get<bool>()) {
    ESP_ASSIGN(uvs, input.tensor(prefix + "uvs"));
  }
  mesh::Mesh out = dumped_mesh(vertices, faces, uvs);
  for (const auto& id : rows<int32_t, 1>(ids)) out.material_ids.push_back(id[0]);
  return out;
}

// The default material, which the reference appends, is left to our own.
Result<mesh::Scene> scene_of(const Case& c) {
  ESP_ASSIGN(const auto input, SafetensorsFile::open(c.folder / "input.safetensors"));
  mesh::Scene scene;
  for (const auto& entry : c.description.at("materials")) {
    if (entry.at("is_default").get<bool>()) continue;
    ESP_ASSIGN(auto material, material_of(entry, input, scene));
    scene.materials.push_back(std::move(material));
  }
  for (const auto& entry : c.description.at("objects")) {
    ESP_ASSIGN(auto mesh, mesh_of(entry, input));
    if (!mesh.triangles.empty()) scene.meshes.push_back(std::move(mesh));
  }
  ESP_TRY(mesh::normalize(scene).status());
  return scene;
}

// Voxels of the reference in the order of ours.
at::Tensor sorted_order(const at::Tensor& coords) {
  const auto c = coords.to(torch::kInt64);
  return (c.select(1, 0) * (int64_t{1} << 22) + c.select(1, 1) * (int64_t{1} << 11) + c.select(1, 2)).argsort();
}

at::Tensor values_of(const ovoxel::VoxelAttribute& attribute) {
  return to_tensor(attribute.values).reshape({-1, static_cast<int64_t>(attribute.channels)});
}

// Our voxels written to a file, against the reference's file: names, channels and their order.
Status compare_file(const Case& c, const ovoxel::VoxelTable& got, Report& report) {
  ESP_ASSIGN(const std::string bytes, read_file(c.folder / "pbr.vxz"));
  ESP_ASSIGN(const auto theirs, ovoxel::decode_vxz(bytes));
  ESP_ASSIGN(const std::string written, ovoxel::encode_vxz(got));
  ESP_ASSIGN(const auto ours, ovoxel::decode_vxz(written));
  report.compare("pbr.vxz coords", to_tensor(ours.voxels), to_tensor(theirs.voxels), 0, 0);
  report.compare("pbr.vxz attributes", static_cast<double>(ours.attributes.size()),
                 static_cast<double>(theirs.attributes.size()), 0);
  for (size_t a = 0; a < std::min(ours.attributes.size(), theirs.attributes.size()); ++a) {
    const auto& own = ours.attributes[a];
    const auto& other = theirs.attributes[a];
    report.expect("pbr.vxz attribute " + other.name, own.name == other.name && own.channels == other.channels);
    if (own.values.size() != other.values.size()) continue;
    report.compare_max_and_mean("pbr.vxz " + other.name, to_tensor(own.values), to_tensor(other.values),
                                kLargestDifference, kMeanDifference);
  }
  return absl::OkStatus();
}

}  // namespace

Status run_pbr_voxels_case(const Case& c, Report& report) {
  ESP_ASSIGN(const auto scene, scene_of(c));
  ESP_ASSIGN(const auto expected, SafetensorsFile::open(c.folder / "expected.safetensors"));
  ESP_ASSIGN(const auto got, ovoxel::pbr_voxels(scene, c.description.at("grid_size")));
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords"));
  const auto order = sorted_order(coords);
  report.compare("coords", to_tensor(got.voxels), coords.index_select(0, order), 0, 0);
  if (static_cast<int64_t>(got.voxels.size()) != coords.size(0)) return absl::OkStatus();
  for (const auto& attribute : got.attributes) {
    ESP_ASSIGN(const at::Tensor want, expected.tensor(attribute.name));
    report.compare_max_and_mean(attribute.name, values_of(attribute), want.index_select(0, order), kLargestDifference,
                                kMeanDifference);
  }
  return compare_file(c, got, report);
}

}  // namespace espalier::golden
