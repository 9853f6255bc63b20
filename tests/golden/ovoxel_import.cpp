#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/files.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "nn/io/safetensors.h"
#include "ovoxel/curve.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/pbr_voxels.h"
#include "preprocess/blender.h"
#include "preprocess/import_asset.h"
#include "tests/golden/golden.h"
#include "tests/golden/ovoxel_tensors.h"

// One asset file as Blender and the reference's scripts import it: surface, bounds, voxels, materials.
namespace espalier::golden {
namespace {

constexpr double kOtherVoxels = 0.005;      // of the union of both sets
constexpr double kOtherFlags = 0.02;        // of the common voxels
constexpr double kStoredDifference = 3;     // mean of |u8 vertex difference|
constexpr double kAttributeDifference = 3;  // mean of |u8 attribute difference|
constexpr double kBoundsTolerance = 1e-4;   // of the normalised object
constexpr double kAreaTolerance = 0.005;    // polygons that are not flat are cut one way or the other

double area(const mesh::Surface& surface) {
  double sum = 0;
  for (const mesh::Triangle& t : surface.triangles) {
    std::array<double, 3> e{}, f{};
    for (size_t k = 0; k < 3; ++k) {
      e[k] = double{surface.positions[t[1]][k]} - surface.positions[t[0]][k];
      f[k] = double{surface.positions[t[2]][k]} - surface.positions[t[0]][k];
    }
    sum += std::hypot(e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]) / 2;
  }
  return sum;
}

void compare_surface(const mesh::Scene& scene, const mesh::Surface& surface, const nlohmann::json& want,
                     Report& report) {
  const double expected_area = want.at("surface_area");
  report.compare("surface_area", area(surface), expected_area, 0, kAreaTolerance);
  const auto box = mesh::bounds(scene).value();
  for (size_t a = 0; a < 3; ++a) {
    report.compare("bbox_min", box.min[a], want.at("bbox_min").at(a), kBoundsTolerance);
    report.compare("bbox_max", box.max[a], want.at("bbox_max").at(a), kBoundsTolerance);
  }
}

Status compare_voxels(const ovoxel::DualGrid& got, int32_t resolution, const nn::SafetensorsFile& expected,
                      Report& report) {
  ESP_ASSIGN(const at::Tensor codes, expected.tensor("zcode"));
  ESP_ASSIGN(const at::Tensor vertices, expected.tensor("vertices_u8"));
  ESP_ASSIGN(const at::Tensor flags, expected.tensor("intersected_u8"));
  const auto want_vertices = rows<uint8_t, 3>(vertices);
  const auto want_flags = rows<uint8_t, 1>(flags);
  size_t common = 0, other_flags = 0;
  double difference = 0;
  const auto all_codes = rows<uint32_t, 1>(codes);
  for (size_t i = 0; i < all_codes.size(); ++i) {
    const auto voxel = ovoxel::from_z_order(all_codes[i][0]);
    const auto found = std::lower_bound(got.voxels.begin(), got.voxels.end(), voxel);
    if (found == got.voxels.end() || *found != voxel) continue;
    const auto at = static_cast<size_t>(found - got.voxels.begin());
    ++common;
    other_flags += got.intersected[at] != want_flags[i][0];
    const auto packed = ovoxel::packed_vertex(got.dual_vertices[at], voxel, resolution);
    for (size_t a = 0; a < 3; ++a) difference += std::abs(packed[a] - want_vertices[i][a]) / 3.0;
  }
  const auto shared = static_cast<double>(std::max<size_t>(common, 1));
  const auto united = static_cast<double>(all_codes.size() + got.voxels.size() - common);
  report.compare("voxels that differ, of all", 1 - static_cast<double>(common) / united, 0, kOtherVoxels);
  report.compare("flags that differ, of common voxels", static_cast<double>(other_flags) / shared, 0, kOtherFlags);
  report.compare("mean |vertices_u8 difference|", difference / shared, 0, kStoredDifference);
  return absl::OkStatus();
}

Status compare_materials(const ovoxel::VoxelTable& got, const nn::SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const at::Tensor codes, expected.tensor("zcode"));
  const auto all_codes = rows<uint32_t, 1>(codes);
  for (const ovoxel::VoxelAttribute& attribute : got.attributes) {
    ESP_ASSIGN(const at::Tensor values, expected.tensor(attribute.name));
    const auto want = rows<uint8_t, 1>(values);  // [voxels * channels]
    double difference = 0;
    size_t common = 0;
    for (size_t i = 0; i < all_codes.size(); ++i) {
      const auto voxel = ovoxel::from_z_order(all_codes[i][0]);
      const auto found = std::lower_bound(got.voxels.begin(), got.voxels.end(), voxel);
      if (found == got.voxels.end() || *found != voxel) continue;
      const auto at = static_cast<size_t>(found - got.voxels.begin());
      ++common;
      for (size_t c = 0; c < attribute.channels; ++c) {
        difference += std::abs(attribute.values[at * attribute.channels + c] - want[i * attribute.channels + c][0]);
      }
    }
    const auto compared = static_cast<double>(std::max<size_t>(common, 1) * attribute.channels);
    report.compare("mean |" + attribute.name + " difference|", difference / compared, 0, kAttributeDifference);
  }
  return absl::OkStatus();
}

// The reference keeps an object whose materials it does not understand, but gives its voxels no attributes, and
// params.json says so: in place of the list of materials, or beside it. Such a case is about geometry alone.
bool materials_rejected(const Case& c) {
  const auto materials = c.description.find("materials");
  if (materials == c.description.end() || !materials->is_array()) return true;
  return absl::StrContains(absl::AsciiStrToLower(c.description.dump()), "reject");
}

// As preparation reads it; a .blend file needs a Blender.
Result<mesh::Scene> read_asset(const Case& c) {
  const std::string asset = c.description.at("asset");
  if (!preprocess::is_blend_name(asset)) return mesh::import_scene(c.folder / asset);
  ESP_ASSIGN(const TempDir scratch, TempDir::create("golden-import"));
  return preprocess::import_asset(c.folder, asset, {}, scratch.path(), {});
}

}  // namespace

Status run_import_case(const Case& c, Report& report) {
  auto imported = read_asset(c);
  if (!imported.ok() && mesh::import_error_code(imported.status()) == "UNSUPPORTED_FEATURE") {
    return absl::UnimplementedError(imported.status().message());
  }
  ESP_ASSIGN(mesh::Scene scene, std::move(imported));
  ESP_TRY(mesh::normalize(scene).status());
  const mesh::Surface surface = ovoxel::welded(scene);
  compare_surface(scene, surface, c.description.at("mesh"), report);
  const int32_t resolution = c.description.at("grid_size");
  ESP_ASSIGN(const auto got, ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(resolution)));
  ESP_ASSIGN(const auto expected, nn::SafetensorsFile::open(c.folder / "expected.safetensors"));
  ESP_TRY(compare_voxels(got, resolution, expected, report));
  if (materials_rejected(c)) return absl::OkStatus();
  ESP_ASSIGN(const auto materials, ovoxel::pbr_voxels(scene, resolution));
  return compare_materials(materials, expected, report);
}

}  // namespace espalier::golden
