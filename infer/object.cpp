#include "infer/object.h"

#include "ovoxel/dual_mesh.h"
#include "ovoxel/remesh.h"
#include "ovoxel/voxel_surface.h"

namespace espalier::infer {
namespace {

// With few enough triangles, the same surface; else a simplified one.
Status reduce(mesh::Surface& surface, const OutputOptions& options) {
  const auto target = static_cast<size_t>(options.triangles());
  if (surface.triangles.size() <= target) return absl::OkStatus();
  ESP_ASSIGN(surface, mesh::simplify(surface, target));
  return absl::OkStatus();
}

// Closed and of one side from the start.
Status make_anew(mesh::Surface& surface, int32_t resolution, const OutputOptions& options) {
  ovoxel::RemeshOptions remesh;
  remesh.resolution = resolution;
  remesh.band = static_cast<float>(options.remesh_band);
  remesh.project = static_cast<float>(options.remesh_project);
  ESP_ASSIGN(surface, ovoxel::remesh(surface, remesh));
  return reduce(surface, options);
}

Status close_holes(mesh::Surface& surface, const OutputOptions& options, size_t& closed) {
  if (!options.fill_holes) return absl::OkStatus();
  ESP_ASSIGN(const size_t now, mesh::fill_holes(surface));
  closed += now;
  return absl::OkStatus();
}

// Parts that only touched have loops of their own once they are separate; hence the holes again.
Status put_in_order(mesh::Surface& surface, const OutputOptions& options, size_t& holes_closed) {
  ESP_TRY(mesh::repair(surface));
  ESP_TRY(close_holes(surface, options, holes_closed));
  const size_t before = surface.triangles.size();
  ESP_TRY(reduce(surface, options));
  if (surface.triangles.size() < before) ESP_TRY(mesh::repair(surface));
  return mesh::orient(surface);
}

Status no_surface() {
  return absl::FailedPreconditionError(
      "the decoded shape has no surface for this image and seed; try another seed, image or adapter scale");
}

mesh::Mesh finished(mesh::Surface surface) {
  mesh::Mesh out;
  out.name = "object";
  out.normals = mesh::vertex_normals(surface);
  out.material_ids.assign(surface.triangles.size(), -1);
  out.positions = std::move(surface.positions);
  out.triangles = std::move(surface.triangles);
  return out;
}

}  // namespace

Result<ObjectMesh> structure_mesh(const std::vector<ovoxel::Voxel>& cells, int resolution,
                                  const OutputOptions& options) {
  ObjectMesh out;
  ESP_ASSIGN(out.mesh, ovoxel::voxel_surface(cells, resolution));
  out.mesh.name = "object";
  if (out.mesh.triangles.size() <= static_cast<size_t>(options.triangles())) return out;
  mesh::Surface surface{std::move(out.mesh.positions), std::move(out.mesh.triangles)};
  ESP_TRY(reduce(surface, options));
  out.mesh = finished(std::move(surface));
  return out;
}

Result<ObjectMesh> shape_mesh(const DecodedShape& shape, const OutputOptions& options) {
  ObjectMesh out;
  ESP_ASSIGN(mesh::Surface surface, ovoxel::dual_mesh(shape.view(), ovoxel::Grid::cube(shape.resolution)));
  ESP_TRY(close_holes(surface, options, out.holes_closed));
  if (surface.triangles.empty()) return no_surface();
  if (!shape.materials.empty()) out.decoded = surface;
  const bool anew = options.remesh.value_or(true);
  ESP_TRY(anew ? make_anew(surface, shape.resolution, options) : put_in_order(surface, options, out.holes_closed));
  if (surface.triangles.empty()) return no_surface();
  out.mesh = finished(std::move(surface));
  out.both_sides = !anew;
  return out;
}

}  // namespace espalier::infer
