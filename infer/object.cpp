#include "infer/object.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "dataset/npz.h"
#include "mesh/glb_writer.h"
#include "mesh/surface.h"
#include "mesh/writers.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/remesh.h"
#include "ovoxel/voxel_surface.h"
#include "ovoxel/vxz.h"

namespace espalier::infer {
namespace {

// With few enough triangles, the same surface; else a simplified one.
Status reduce(mesh::Surface& surface, const GenerateRequest& request) {
  const auto target = static_cast<size_t>(request.decimation_target);
  if (surface.triangles.size() <= target) return absl::OkStatus();
  ESP_ASSIGN(surface, mesh::simplify(surface, target));
  return absl::OkStatus();
}

// Closed and of one side from the start.
Status make_anew(mesh::Surface& surface, int32_t resolution, const GenerateRequest& request) {
  ovoxel::RemeshOptions options;
  options.resolution = resolution;
  options.band = static_cast<float>(request.remesh_band);
  options.project = static_cast<float>(request.remesh_project);
  ESP_ASSIGN(surface, ovoxel::remesh(surface, options));
  return reduce(surface, request);
}

Status close_holes(mesh::Surface& surface, const GenerateRequest& request, size_t& closed) {
  if (!request.fill_holes) return absl::OkStatus();
  ESP_ASSIGN(const size_t now, mesh::fill_holes(surface));
  closed += now;
  return absl::OkStatus();
}

// Parts that only touched have loops of their own once they are separate; hence the holes again.
Status put_in_order(mesh::Surface& surface, const GenerateRequest& request, size_t& holes_closed) {
  ESP_TRY(mesh::repair(surface));
  ESP_TRY(close_holes(surface, request, holes_closed));
  const size_t before = surface.triangles.size();
  ESP_TRY(reduce(surface, request));
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

uint8_t packed(float x) { return static_cast<uint8_t>(std::clamp(x, 0.0f, 1.0f) * 255); }

// A part of the six numbers of a material, as files name it.
struct MaterialPart {
  const char* name;
  size_t first, channels;
};
constexpr MaterialPart kMaterialParts[] = {{"base_color", 0, 3}, {"metallic", 3, 1}, {"roughness", 4, 1}, {"alpha", 5, 1}};

Result<std::string> vxz_of(const DecodedShape& shape) {
  ovoxel::VoxelTable table{shape.voxels, {{"vertices", 3, {}}, {"intersected", 1, shape.intersected}}};
  for (const mesh::Vec3& v : shape.vertices) {
    for (const float x : v) table.attributes[0].values.push_back(packed(x));
  }
  for (const MaterialPart& part : kMaterialParts) {
    if (shape.materials.empty()) break;
    ovoxel::VoxelAttribute& attribute = table.attributes.emplace_back();
    attribute = {part.name, part.channels, {}};
    for (const VoxelMaterial& material : shape.materials) {
      for (size_t c = 0; c < part.channels; ++c) attribute.values.push_back(packed(material[part.first + c]));
    }
  }
  return ovoxel::encode_vxz(table);
}

template <class T>
dataset::Array array_of(const char* dtype, const T& rows, std::vector<int64_t> shape) {
  dataset::Array out{dtype, std::move(shape), {}};
  out.bytes.resize(rows.size() * sizeof(rows[0]));
  std::memcpy(out.bytes.data(), rows.data(), out.bytes.size());
  return out;
}

Result<std::string> npz_of(const DecodedShape& shape) {
  const auto count = static_cast<int64_t>(shape.voxels.size());
  std::vector<uint8_t> crossed;
  for (const uint8_t bits : shape.intersected) {
    for (int axis = 0; axis < 3; ++axis) crossed.push_back(bits >> axis & 1);
  }
  std::map<std::string, dataset::Array> arrays = {{"coords", array_of("<i4", shape.voxels, {count, 3})},
                                                  {"vertices", array_of("<f4", shape.vertices, {count, 3})},
                                                  {"intersected", array_of("|u1", crossed, {count, 3})},
                                                  {"split_weights", array_of("<f4", shape.split_weights, {count})},
                                                  {"resolution", array_of("<i4", std::array{shape.resolution}, {1})}};
  for (const MaterialPart& part : kMaterialParts) {
    if (shape.materials.empty()) break;
    std::vector<float> values;
    for (const VoxelMaterial& material : shape.materials) {
      values.insert(values.end(), &material[part.first], &material[part.first] + part.channels);
    }
    arrays[part.name] = array_of("<f4", values, {count, static_cast<int64_t>(part.channels)});
  }
  return dataset::write_npz(arrays);
}

Result<std::string> geometry_file(const ObjectMesh& object, FileFormat format) {
  mesh::Scene scene;
  scene.meshes.push_back(object.mesh);
  if (!object.both_sides) {
    scene.materials.push_back(mesh::default_material());
    scene.materials[0].double_sided = false;
    scene.meshes[0].material_ids.assign(object.mesh.triangles.size(), 0);
  }
  switch (format) {
    case FileFormat::kObj:
      return mesh::write_obj(scene);
    case FileFormat::kPly:
      return mesh::write_ply(scene);
    case FileFormat::kStl:
      return mesh::write_stl(scene);
    default:
      return mesh::write_glb(scene);
  }
}

}  // namespace

Result<ObjectMesh> structure_mesh(const std::vector<ovoxel::Voxel>& cells, int resolution,
                                  const GenerateRequest& request) {
  ObjectMesh out;
  ESP_ASSIGN(out.mesh, ovoxel::voxel_surface(cells, resolution));
  out.mesh.name = "object";
  if (out.mesh.triangles.size() <= static_cast<size_t>(request.decimation_target)) return out;
  mesh::Surface surface{std::move(out.mesh.positions), std::move(out.mesh.triangles)};
  ESP_TRY(reduce(surface, request));
  out.mesh = finished(std::move(surface));
  return out;
}

Result<ObjectMesh> shape_mesh(const DecodedShape& shape, const GenerateRequest& request) {
  ObjectMesh out;
  ESP_ASSIGN(mesh::Surface surface, ovoxel::dual_mesh(shape.view(), ovoxel::Grid::cube(shape.resolution)));
  ESP_TRY(close_holes(surface, request, out.holes_closed));
  if (surface.triangles.empty()) return no_surface();
  ESP_TRY(request.remesh ? make_anew(surface, shape.resolution, request)
                         : put_in_order(surface, request, out.holes_closed));
  if (surface.triangles.empty()) return no_surface();
  out.mesh = finished(std::move(surface));
  out.both_sides = !request.remesh;
  return out;
}

Result<std::string> file_of(const ObjectParts& parts, FileFormat format) {
  if (format == FileFormat::kOccupancy) {
    const auto count = static_cast<int64_t>(parts.cells.size());
    return dataset::write_npz({{"coords", array_of("<i4", parts.cells, {count, 3})}});
  }
  if (format != FileFormat::kVxz && format != FileFormat::kNpz) return geometry_file(parts.object, format);
  if (parts.shape == nullptr) return absl::InvalidArgumentError("no shape is generated that this file could hold");
  return format == FileFormat::kVxz ? vxz_of(*parts.shape) : npz_of(*parts.shape);
}

}  // namespace espalier::infer
