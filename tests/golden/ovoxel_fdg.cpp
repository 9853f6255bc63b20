#include "common/files.h"
#include "mesh/normalize.h"
#include "nn/io/safetensors.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/vxz.h"
#include "tests/golden/golden.h"
#include "tests/golden/ovoxel_tensors.h"

// Meshes to flexible dual grids: voxels and flags must be equal, vertices agree to one step of the storage format.
namespace espalier::golden {
namespace {

using nn::SafetensorsFile;
using ovoxel::DualGrid;
using ovoxel::Grid;

constexpr double kStep = 1.0 / 255;  // of a voxel
// Where two sides of a voxel are equally good, the last bit of float sums decides which one a vertex lies on.
constexpr double kTies = 0.005;
constexpr double kPositionTolerance = 1e-6;

struct Run {
  std::string suffix;         // of the expected vertices
  std::string coords_suffix;  // of the expected voxels and flags
  Grid grid;
  ovoxel::DualGridOptions options;
};

std::array<std::vector<float>, 2> box_of(const nlohmann::json& description, const SafetensorsFile& input) {
  if (description.at("aabb").is_array()) return description.at("aabb");
  const auto box = rows<float, 3>(input.tensor("aabb").value());
  return {std::vector<float>(box.at(0).begin(), box[0].end()), std::vector<float>(box.at(1).begin(), box[1].end())};
}

std::vector<Run> runs_of(const Case& c, const SafetensorsFile& input) {
  const auto& d = c.description;
  const auto box = box_of(d, input);
  std::array<float, 3> lo{}, hi{};
  std::array<int32_t, 3> size{};
  for (size_t a = 0; a < 3; ++a) {
    lo[a] = box[0].at(a);
    hi[a] = box[1].at(a);
    size[a] = d.at("grid_size").is_array() ? d["grid_size"].at(a) : d["grid_size"];
  }
  std::vector<Run> runs;
  for (const auto& w : d.at("weights")) {
    runs.push_back({w.at("suffix"), "", Grid::over(lo, hi, size), {w.at("face"), w["boundary"], w["regularization"]}});
  }
  if (d.contains("voxel_size_run")) {
    const auto& w = d["voxel_size_run"];
    runs.push_back({w.at("suffix"), w["suffix"], Grid::of_voxels(lo, hi, w.at("voxel_size")), {1.0f, 1.0f, 0.1f}});
  }
  return runs;
}

// Order of rows [M, 3] by (x, y, z), the order of our own results.
at::Tensor sorted_order(const at::Tensor& coords) {
  const auto c = coords.to(torch::kInt64);
  return (c.select(1, 0) * (int64_t{1} << 42) + c.select(1, 1) * (int64_t{1} << 21) + c.select(1, 2)).argsort();
}

at::Tensor flag_bits(const std::vector<uint8_t>& flags) {
  return to_tensor(flags).unsqueeze(1).bitwise_and(torch::tensor({1, 2, 4}, torch::kUInt8)).ne(0).to(torch::kUInt8);
}

// Share of voxels with a component further than `step` away.
double share_beyond(const at::Tensor& difference, double step) {
  return difference.abs().amax(1).gt(step).to(torch::kFloat64).mean().item<double>();
}

Status compare_run(const Run& run, const DualGrid& got, const SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords" + run.coords_suffix));
  ESP_ASSIGN(const at::Tensor flags, expected.tensor("intersected" + run.coords_suffix));
  ESP_ASSIGN(const at::Tensor vertices, expected.tensor("dual_vertices" + run.suffix));
  const auto order = sorted_order(coords);
  const auto voxels = to_tensor(got.voxels);
  report.compare("coords" + run.suffix, voxels, coords.index_select(0, order), 0, 0);
  if (voxels.sizes() != coords.sizes()) return absl::OkStatus();
  report.compare("intersected" + run.suffix, flag_bits(got.intersected), flags.index_select(0, order), 0, 0);
  const auto& h = run.grid.voxel_size;
  const auto difference = to_tensor(got.dual_vertices).to(torch::kFloat64) - vertices.index_select(0, order);
  report.compare("share of dual_vertices" + run.suffix + " beyond 1/255 voxel",
                 share_beyond(difference / torch::tensor({h[0], h[1], h[2]}), kStep), 0, kTies);
  return absl::OkStatus();
}

// The bytes stored for the first run.
Status compare_stored(const DualGrid& got, int32_t resolution, const SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords"));
  ESP_ASSIGN(const at::Tensor flags, expected.tensor("intersected_u8"));
  ESP_ASSIGN(const at::Tensor vertices, expected.tensor("vertices_u8"));
  if (static_cast<int64_t>(got.voxels.size()) != coords.size(0)) return absl::OkStatus();
  const auto order = sorted_order(coords);
  std::vector<std::array<uint8_t, 3>> packed;
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    packed.push_back(ovoxel::packed_vertex(got.dual_vertices[i], got.voxels[i], resolution));
  }
  report.compare("intersected_u8", to_tensor(got.intersected), flags.flatten().index_select(0, order), 0, 0);
  const auto difference = to_tensor(packed).to(torch::kInt32) - vertices.index_select(0, order).to(torch::kInt32);
  report.compare("share of vertices_u8 off by more than 1", share_beyond(difference, 1), 0, kTies);
  return absl::OkStatus();
}

// The reference's normalisation: every bit of a vertex decides about voxels.
Status compare_normalized(const SafetensorsFile& input, const at::Tensor& want, Report& report) {
  ESP_ASSIGN(const at::Tensor raw, input.tensor("vertices_raw"));
  mesh::Scene scene;
  scene.meshes.emplace_back().positions = rows<float, 3>(raw);
  ESP_TRY(mesh::normalize(scene).status());
  report.compare("vertices", to_tensor(scene.meshes[0].positions), want, 0, 0);
  return absl::OkStatus();
}

// The surfaces that the reference extracts from its own voxels and vertices, in its order.
Status compare_meshes(const Case& c, const Run& run, const SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const auto file, SafetensorsFile::open(c.folder / "mesh.safetensors"));
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords"));
  ESP_ASSIGN(const at::Tensor vertices, expected.tensor("dual_vertices"));
  ESP_ASSIGN(const at::Tensor flags, expected.tensor("intersected"));
  ESP_ASSIGN(const at::Tensor weights, file.tensor("split_weight"));
  const auto voxels = rows<int32_t, 3>(coords);
  const auto size = torch::tensor({run.grid.size[0], run.grid.size[1], run.grid.size[2]}, torch::kFloat32);
  const auto local = rows<float, 3>((vertices * size - coords).clamp(0, 1));
  const auto bits = flags.to(torch::kUInt8).mul(torch::tensor({1, 2, 4}, torch::kUInt8)).sum(1).to(torch::kUInt8);
  const auto plain_weights = weights.flatten().contiguous(), plain_bits = bits.contiguous();
  ovoxel::DualGridView view{voxels, local, {plain_bits.data_ptr<uint8_t>(), voxels.size()}, {}};
  ESP_ASSIGN(const auto by_area, ovoxel::dual_mesh(view, run.grid));
  view.split_weights = {plain_weights.data_ptr<float>(), voxels.size()};
  ESP_ASSIGN(const auto by_weight, ovoxel::dual_mesh(view, run.grid));
  ESP_ASSIGN(const auto centers, ovoxel::dual_mesh_with_centers(view, run.grid));
  const auto with_centers = to_tensor(centers.positions);
  const std::pair<const char*, at::Tensor> results[] = {
      {"auto_vertices", to_tensor(by_area.positions)},
      {"auto_faces", to_tensor(by_area.triangles)},
      {"weighted_faces", to_tensor(by_weight.triangles)},
      {"train_mid_vertices", with_centers.slice(0, static_cast<int64_t>(voxels.size()))},
      {"train_faces", to_tensor(centers.triangles)},
  };
  for (const auto& [name, got] : results) {
    if (!file.contains(name)) continue;
    ESP_ASSIGN(const at::Tensor want, file.tensor(name));
    report.compare(name, got, want, want.is_floating_point() ? kPositionTolerance : 0, 0);
  }
  return absl::OkStatus();
}

// The reference's file of its own voxels, and ours of the same content.
Status compare_file(const Case& c, const SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const std::string bytes, read_file(c.folder / "dual_grid.vxz"));
  ESP_ASSIGN(const auto theirs, ovoxel::decode_vxz(bytes));
  ESP_ASSIGN(const std::string written, ovoxel::encode_vxz(theirs));
  ESP_ASSIGN(const auto ours, ovoxel::decode_vxz(written));
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords"));
  for (const auto* table : {&theirs, &ours}) {
    const auto voxels = to_tensor(table->voxels);
    report.compare("dual_grid.vxz coords", voxels.index_select(0, sorted_order(voxels)),
                   coords.index_select(0, sorted_order(coords)), 0, 0);
    for (const auto& [attribute, tensor] : {std::pair{"vertices", "vertices_u8"}, {"intersected", "intersected_u8"}}) {
      const auto* values = table->attribute(attribute);
      if (values == nullptr) return absl::NotFoundError(std::string("dual_grid.vxz has no ") + attribute);
      ESP_ASSIGN(const at::Tensor want, expected.tensor(tensor));
      report.compare(std::string("dual_grid.vxz ") + attribute,
                     to_tensor(values->values).reshape({voxels.size(0), -1}).index_select(0, sorted_order(voxels)),
                     want.index_select(0, sorted_order(coords)), 0, 0);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status run_dual_grid_case(const Case& c, Report& report) {
  ESP_ASSIGN(const auto input, SafetensorsFile::open(c.folder / "input.safetensors"));
  ESP_ASSIGN(const auto expected, SafetensorsFile::open(c.folder / "expected.safetensors"));
  ESP_ASSIGN(const at::Tensor vertices, input.tensor("vertices"));
  ESP_ASSIGN(const at::Tensor faces, input.tensor("faces"));
  if (c.description.value("normalised", false)) ESP_TRY(compare_normalized(input, vertices, report));
  for (const Run& run : runs_of(c, input)) {
    ESP_ASSIGN(const DualGrid got,
               ovoxel::dual_grid(rows<float, 3>(vertices), triangles(faces), run.grid, run.options));
    ESP_TRY(compare_run(run, got, expected, report));
    if (run.suffix.empty() && expected.contains("vertices_u8")) {
      ESP_TRY(compare_stored(got, run.grid.size[0], expected, report));
    }
    if (run.suffix.empty() && std::filesystem::exists(c.folder / "mesh.safetensors")) {
      ESP_TRY(compare_meshes(c, run, expected, report));
    }
  }
  if (std::filesystem::exists(c.folder / "dual_grid.vxz")) ESP_TRY(compare_file(c, expected, report));
  return absl::OkStatus();
}

}  // namespace espalier::golden
