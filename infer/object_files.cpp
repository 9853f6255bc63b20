#include "infer/object_files.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "dataset/npz.h"
#include "infer/object.h"
#include "infer/textured_scene.h"
#include "mesh/writers.h"
#include "ovoxel/vxz.h"

namespace espalier::infer {
namespace {

uint8_t packed(float x) { return static_cast<uint8_t>(std::clamp(x, 0.0f, 1.0f) * 255); }

// A part of the six numbers of a material, as files name it.
struct MaterialPart {
  const char* name;
  size_t first, channels;
};
constexpr MaterialPart kMaterialParts[] = {
    {"base_color", 0, 3}, {"metallic", 3, 1}, {"roughness", 4, 1}, {"alpha", 5, 1}};

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

mesh::Scene bare_scene(const ObjectMesh& object) {
  mesh::Scene scene;
  scene.meshes.push_back(object.mesh);
  if (!object.both_sides) {
    scene.materials.push_back(mesh::default_material());
    scene.materials[0].double_sided = false;
    scene.meshes[0].material_ids.assign(object.mesh.triangles.size(), 0);
  }
  return scene;
}

// What the .glb holds, or would.
Result<mesh::Scene> shown_scene(const ObjectMesh& object, const DecodedShape* shape, const OutputOptions& options,
                                const StageHooks& hooks) {
  const auto& formats = options.formats;
  const bool has_glb = std::find(formats.begin(), formats.end(), FileFormat::kGlb) != formats.end();
  if (!has_glb || shape == nullptr || shape->materials.empty() || options.geometry_only) return bare_scene(object);
  bake::BakeOptions how;
  how.double_sided = object.both_sides;
  const mesh::Surface surface{object.mesh.positions, object.mesh.triangles};
  return textured_scene(*shape, options, how, hooks,
                        [&](const bake::AttributeVolume& volume, const bake::BakeOptions& baking) {
                          return bake::bake(surface, object.decoded, volume, baking);
                        });
}

Result<std::string> file_of(const ObjectMesh& object, const DecodedShape* shape, const GeneratedSample& sample,
                            const mesh::Scene& shown, FileFormat format, const OutputOptions& options) {
  switch (format) {
    case FileFormat::kGlb:
      return glb_of(shown, options);
    case FileFormat::kObj:
      return mesh::write_obj(bare_scene(object));
    case FileFormat::kPly:
      return mesh::write_ply(bare_scene(object));
    case FileFormat::kStl:
      return mesh::write_stl(bare_scene(object));
    case FileFormat::kOccupancy: {
      const auto count = static_cast<int64_t>(sample.voxels.size());
      return dataset::write_npz({{"coords", array_of("<i4", sample.voxels, {count, 3})}});
    }
    case FileFormat::kVxz:
    case FileFormat::kNpz:
      if (shape == nullptr) return absl::InvalidArgumentError("no shape is generated that this file could hold");
      return format == FileFormat::kVxz ? vxz_of(*shape) : npz_of(*shape);
    case FileFormat::kPreview:
      return absl::InternalError("a preview is made after the files");
  }
  return absl::InternalError("no such format");
}

}  // namespace

Result<mesh::Scene> make_files(const DecodedShape* shape, int structure_resolution, const OutputOptions& options,
                               const StageHooks& hooks, GeneratedSample& sample) {
  ESP_ASSIGN(const ObjectMesh object, shape != nullptr ? shape_mesh(*shape, options)
                                                       : structure_mesh(sample.voxels, structure_resolution, options));
  ESP_TRY(hooks.check_stop());
  ESP_ASSIGN(mesh::Scene shown, shown_scene(object, shape, options, hooks));
  for (const FileFormat format : options.formats) {
    ESP_TRY(hooks.check_stop());
    ESP_ASSIGN(std::string bytes, file_of(object, shape, sample, shown, format, options));
    sample.files.push_back({format, std::move(bytes)});
  }
  sample.shape_voxels = shape != nullptr ? static_cast<int64_t>(shape->voxels.size()) : 0;
  sample.vertices = static_cast<int64_t>(object.mesh.positions.size());
  sample.triangles = static_cast<int64_t>(object.mesh.triangles.size());
  sample.holes_closed = static_cast<int64_t>(object.holes_closed);
  return shown;
}

}  // namespace espalier::infer
