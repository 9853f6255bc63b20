#include "nn/io/safetensors.h"
#include "ovoxel/remesh.h"
#include "tests/golden/golden.h"
#include "tests/golden/ovoxel_tensors.h"

// Narrow-band dual contouring: the cells and quads must be equal, distances and vertices agree to float rounding.
namespace espalier::golden {
namespace {

constexpr double kTolerance = 1e-6;

}  // namespace

Status run_remesh_case(const Case& c, Report& report) {
  ESP_ASSIGN(const auto input, nn::SafetensorsFile::open(c.folder / "input.safetensors"));
  ESP_ASSIGN(const auto opened, nn::SafetensorsFile::open(c.folder / "expected.safetensors"));
  ESP_ASSIGN(const nn::TensorMap want, opened.tensors());
  ovoxel::RemeshOptions options;
  options.resolution = c.description.at("resolution");
  options.band = c.description.at("band");
  options.project = c.description.at("project_back");
  const mesh::Surface surface{rows<float, 3>(input.tensor("vertices").value()),
                              triangles(input.tensor("faces").value())};
  ESP_ASSIGN(const auto tree, mesh::ClosestPoint::over(surface));
  ESP_ASSIGN(const auto band, ovoxel::narrow_band(tree, options));
  report.compare("scale", band.scale, c.description.at("scale").get<double>(), kTolerance);
  report.compare("voxels", to_tensor(band.cells), named(want, "voxels"), 0, 0);
  report.compare("corner_coords", to_tensor(band.corners), named(want, "corner_coords"), 0, 0);
  report.compare("corner_values", torch::tensor(band.values), named(want, "corner_values"), kTolerance, 0);
  report.compare("intersected", to_tensor(ovoxel::crossings(band)).to(torch::kInt32), named(want, "intersected"), 0, 0);
  ESP_ASSIGN(const auto contour, ovoxel::remesh(surface, options));
  report.compare("vertices", to_tensor(contour.positions), named(want, "vertices"), kTolerance, 0);
  report.compare("faces", to_tensor(contour.triangles), named(want, "faces"), 0, 0);
  return absl::OkStatus();
}

}  // namespace espalier::golden
