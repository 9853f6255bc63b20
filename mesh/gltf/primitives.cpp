#include "mesh/gltf/primitives.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::mesh::internal {
namespace {

constexpr int kTriangles = 4, kStrip = 5, kFan = 6;
constexpr size_t kMaxTargets = 1024;

// The attributes of one primitive before it is joined with the others.
struct Primitive {
  Mesh mesh;
  std::vector<LocalMesh::Influence> influences;
};

Result<int64_t> attribute(const Json& primitive, const char* name) {
  const Json* attributes = member(primitive, "attributes");
  if (attributes == nullptr) return gltf_error("a primitive has no attributes");
  return int_member(*attributes, name, -1, 0, INT32_MAX);
}

Result<int64_t> primitive_mode(const Json& primitive) { return int_member(primitive, "mode", kTriangles, 0, kFan); }

uint64_t triangle_count(int64_t mode, uint64_t corners) {
  if (mode == kTriangles) return corners / 3;
  return corners >= 3 ? corners - 2 : 0;
}

Status check_encoding(const Document& document, const Json& primitive, int64_t position) {
  const Json* extensions = member(primitive, "extensions");
  if (extensions == nullptr || member(*extensions, "KHR_draco_mesh_compression") == nullptr) return absl::OkStatus();
  ESP_ASSIGN(const Json* accessor, document.item("accessors", position));
  if (member(*accessor, "bufferView") != nullptr) return absl::OkStatus();  // an uncompressed copy is there
  return import_error(ImportError::kUnsupportedFeature, "KHR_draco_mesh_compression");
}

Status add_triangles(const std::vector<uint32_t>& corners, int64_t mode, size_t vertices, int32_t material,
                     Mesh& mesh) {
  for (const uint32_t corner : corners) {
    if (corner >= vertices) {
      return gltf_error(absl::StrCat("vertex index ", corner, " is outside 0..", static_cast<int64_t>(vertices) - 1));
    }
  }
  const size_t count = triangle_count(mode, corners.size());
  mesh.triangles.reserve(count);
  for (size_t t = 0; t < count; ++t) {
    if (mode == kTriangles) {
      mesh.triangles.push_back({corners[3 * t], corners[3 * t + 1], corners[3 * t + 2]});
    } else if (mode == kStrip) {
      const size_t odd = t % 2;
      mesh.triangles.push_back({corners[t], corners[t + 1 + odd], corners[t + 2 - odd]});
    } else {
      mesh.triangles.push_back({corners[0], corners[t + 1], corners[t + 2]});
    }
  }
  mesh.material_ids.assign(mesh.triangles.size(), material);
  return absl::OkStatus();
}

template <size_t N>
Status copy_rows(const Values& values, size_t vertices, std::vector<std::array<float, N>>& out) {
  if (values.count != vertices) return gltf_error("the attributes of a primitive have different lengths");
  out.resize(vertices);
  for (size_t i = 0; i < vertices; ++i) {
    for (size_t c = 0; c < N; ++c) out[i][c] = c < values.width ? values.data[i * values.width + c] : 1.0f;
  }
  return absl::OkStatus();
}

Status read_uvs(const Document& document, const Json& primitive, const UvMapping& mapping, Mesh& mesh) {
  ESP_ASSIGN(const int64_t accessor, attribute(primitive, absl::StrCat("TEXCOORD_", mapping.set).c_str()));
  if (accessor < 0) return absl::OkStatus();
  ESP_ASSIGN(const Values values, document.read_floats(accessor, {2}));
  ESP_TRY(copy_rows(values, mesh.positions.size(), mesh.uvs));
  if (mapping == UvMapping{mapping.set, {0, 0}, {1, 1}, 0}) return absl::OkStatus();
  const double c = std::cos(mapping.rotation), s = std::sin(mapping.rotation);
  for (Vec2& uv : mesh.uvs) {
    const double u = uv[0] * mapping.scale[0], v = uv[1] * mapping.scale[1];
    uv = {static_cast<float>(c * u + s * v + mapping.offset[0]), static_cast<float>(c * v - s * u + mapping.offset[1])};
  }
  return absl::OkStatus();
}

Status add_deltas(const Document& document, int64_t accessor, double weight, std::vector<Vec3>& out) {
  ESP_ASSIGN(const Values deltas, document.read_floats(accessor, {3}));
  if (deltas.count != out.size()) return gltf_error("a morph target does not match its primitive");
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) out[i][a] += static_cast<float>(weight * deltas.data[i * 3 + a]);
  }
  return absl::OkStatus();
}

Status apply_targets(const Document& document, const Json& primitive, const std::vector<double>& weights, Mesh& mesh) {
  const Json* targets = member(primitive, "targets");
  if (targets == nullptr || !targets->is_array()) return absl::OkStatus();
  if (targets->size() > kMaxTargets) return gltf_error("more than 1024 morph targets");
  for (size_t t = 0; t < targets->size() && t < weights.size(); ++t) {
    if (weights[t] == 0) continue;
    ESP_ASSIGN(const int64_t position, int_member((*targets)[t], "POSITION", -1, 0, INT32_MAX));
    ESP_ASSIGN(const int64_t normal, int_member((*targets)[t], "NORMAL", -1, 0, INT32_MAX));
    if (position >= 0) ESP_TRY(add_deltas(document, position, weights[t], mesh.positions));
    if (normal >= 0 && !mesh.normals.empty()) ESP_TRY(add_deltas(document, normal, weights[t], mesh.normals));
  }
  return absl::OkStatus();
}

Status read_influences(const Document& document, const Json& primitive, Primitive& out) {
  ESP_ASSIGN(const int64_t joints, attribute(primitive, "JOINTS_0"));
  ESP_ASSIGN(const int64_t weights, attribute(primitive, "WEIGHTS_0"));
  if (joints < 0 || weights < 0) return absl::OkStatus();
  ESP_ASSIGN(const Values ids, document.read_floats(joints, {4}));
  ESP_ASSIGN(const Values shares, document.read_floats(weights, {4}));
  if (ids.count != out.mesh.positions.size() || shares.count != ids.count) {
    return gltf_error("joints or weights do not match their primitive");
  }
  out.influences.resize(ids.count);
  for (size_t i = 0; i < ids.count; ++i) {
    for (size_t k = 0; k < 4; ++k) {
      const float id = ids.data[i * 4 + k];
      if (!(id >= 0 && id <= 65535)) return gltf_error("a joint index is out of range");
      out.influences[i].joints[k] = static_cast<uint16_t>(id);
      out.influences[i].weights[k] = shares.data[i * 4 + k];
    }
  }
  return absl::OkStatus();
}

Status read_corners(const Document& document, const Json& primitive, int64_t mode, int32_t material, Mesh& mesh) {
  ESP_ASSIGN(const int64_t accessor, int_member(primitive, "indices", -1, 0, INT32_MAX));
  std::vector<uint32_t> corners;
  if (accessor >= 0) {
    ESP_ASSIGN(corners, document.read_indices(accessor));
  } else {
    corners.resize(mesh.positions.size());
    for (size_t i = 0; i < corners.size(); ++i) corners[i] = static_cast<uint32_t>(i);
  }
  return add_triangles(corners, mode, mesh.positions.size(), material, mesh);
}

Result<Primitive> read_primitive(const Document& document, const Json& json, const std::vector<double>& weights,
                                 const std::vector<UvMapping>& mappings) {
  Primitive out;
  ESP_ASSIGN(const int64_t mode, primitive_mode(json));
  ESP_ASSIGN(const int64_t position, attribute(json, "POSITION"));
  if (mode < kTriangles || position < 0) return out;
  ESP_TRY(check_encoding(document, json, position));
  ESP_ASSIGN(const int64_t material, int_member(json, "material", -1, 0, INT32_MAX));
  if (material >= static_cast<int64_t>(mappings.size())) return gltf_error("a primitive's material does not exist");
  ESP_ASSIGN(const Values positions, document.read_floats(position, {3}));
  ESP_TRY(copy_rows(positions, positions.count, out.mesh.positions));
  ESP_ASSIGN(const int64_t normal, attribute(json, "NORMAL"));
  if (normal >= 0) {
    ESP_ASSIGN(const Values values, document.read_floats(normal, {3}));
    ESP_TRY(copy_rows(values, positions.count, out.mesh.normals));
  }
  ESP_ASSIGN(const int64_t color, attribute(json, "COLOR_0"));
  if (color >= 0) {
    ESP_ASSIGN(const Values values, document.read_floats(color, {3, 4}));
    ESP_TRY(copy_rows(values, positions.count, out.mesh.colors));
  }
  const UvMapping mapping = material >= 0 ? mappings[static_cast<size_t>(material)] : UvMapping{};
  ESP_TRY(read_uvs(document, json, mapping, out.mesh));
  ESP_TRY(apply_targets(document, json, weights, out.mesh));
  ESP_TRY(read_influences(document, json, out));
  ESP_TRY(read_corners(document, json, mode, static_cast<int32_t>(material), out.mesh));
  return out;
}

// One mesh of ours is all primitives of a glTF mesh, whose attributes may differ: what one of them has, the others are
// filled up with (join()). Normals cannot be invented for shared corners, so those are split first.
//
// Gives a mesh without normals one per face, with its corners split, so that it can join smooth primitives.
void split_flat(Primitive& primitive) {
  Primitive flat;
  const Mesh& from = primitive.mesh;
  for (const Triangle& t : from.triangles) {
    std::array<double, 3> e{}, f{};
    for (size_t a = 0; a < 3; ++a) {
      e[a] = from.positions[t[1]][a] - from.positions[t[0]][a];
      f[a] = from.positions[t[2]][a] - from.positions[t[0]][a];
    }
    const double n[3] = {e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]};
    const double length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    const double k = length > 0 ? 1 / length : 0;
    const auto base = static_cast<uint32_t>(flat.mesh.positions.size());
    for (const uint32_t corner : t) {
      flat.mesh.positions.push_back(from.positions[corner]);
      flat.mesh.normals.push_back(
          {static_cast<float>(n[0] * k), static_cast<float>(n[1] * k), static_cast<float>(n[2] * k)});
      if (!from.uvs.empty()) flat.mesh.uvs.push_back(from.uvs[corner]);
      if (!from.colors.empty()) flat.mesh.colors.push_back(from.colors[corner]);
      if (!primitive.influences.empty()) flat.influences.push_back(primitive.influences[corner]);
    }
    flat.mesh.triangles.push_back({base, base + 1, base + 2});
  }
  flat.mesh.material_ids = from.material_ids;
  primitive = std::move(flat);
}

template <class T>
void append(std::vector<T>& out, const std::vector<T>& part, size_t before, size_t added, bool wanted,
            const T& filler) {
  if (!wanted) return;
  out.resize(before, filler);
  out.insert(out.end(), part.begin(), part.end());
  out.resize(before + added, filler);
}

void join(const Primitive& part, bool normals, bool uvs, bool colors, bool skinned, LocalMesh& out) {
  const size_t before = out.mesh.positions.size();
  const size_t added = part.mesh.positions.size();
  const Vec3 up{0, 0, 1};
  append(out.mesh.positions, part.mesh.positions, before, added, true, Vec3{});
  append(out.mesh.normals, part.mesh.normals, before, added, normals, up);
  append(out.mesh.uvs, part.mesh.uvs, before, added, uvs, Vec2{});
  append(out.mesh.colors, part.mesh.colors, before, added, colors, Vec4{1, 1, 1, 1});
  append(out.influences, part.influences, before, added, skinned, LocalMesh::Influence{});
  const auto base = static_cast<uint32_t>(before);
  for (const Triangle& t : part.mesh.triangles) out.mesh.triangles.push_back({t[0] + base, t[1] + base, t[2] + base});
  out.mesh.material_ids.insert(out.mesh.material_ids.end(), part.mesh.material_ids.begin(),
                               part.mesh.material_ids.end());
}

// Vertices no triangle uses are dropped, as the reference's importer does: they must not widen the bounds.
void drop_unused(LocalMesh& local) {
  Mesh& mesh = local.mesh;
  std::vector<uint32_t> index(mesh.positions.size(), UINT32_MAX);
  for (const Triangle& t : mesh.triangles) {
    for (const uint32_t corner : t) index[corner] = 0;
  }
  uint32_t kept = 0;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] == UINT32_MAX) continue;
    index[i] = kept;
    mesh.positions[kept] = mesh.positions[i];
    if (!mesh.normals.empty()) mesh.normals[kept] = mesh.normals[i];
    if (!mesh.uvs.empty()) mesh.uvs[kept] = mesh.uvs[i];
    if (!mesh.colors.empty()) mesh.colors[kept] = mesh.colors[i];
    if (!local.influences.empty()) local.influences[kept] = local.influences[i];
    ++kept;
  }
  mesh.positions.resize(kept);
  if (!mesh.normals.empty()) mesh.normals.resize(kept);
  if (!mesh.uvs.empty()) mesh.uvs.resize(kept);
  if (!mesh.colors.empty()) mesh.colors.resize(kept);
  if (!local.influences.empty()) local.influences.resize(kept);
  for (Triangle& t : mesh.triangles) t = {index[t[0]], index[t[1]], index[t[2]]};
}

}  // namespace

Result<std::vector<double>> morph_weights(const Json& owner) {
  const Json* weights = member(owner, "weights");
  if (weights == nullptr || !weights->is_array()) return std::vector<double>();
  if (weights->size() > kMaxTargets) return gltf_error("more than 1024 morph weights");
  return numbers_member(owner, "weights", weights->size(), {});
}

Result<MeshCounts> count_gltf_mesh(const Document& document, const Json& mesh) {
  MeshCounts out;
  const Json* primitives = member(mesh, "primitives");
  if (primitives == nullptr || !primitives->is_array()) return gltf_error("a mesh has no primitives");
  for (const Json& primitive : *primitives) {
    ESP_ASSIGN(const int64_t mode, primitive_mode(primitive));
    ESP_ASSIGN(const int64_t position, attribute(primitive, "POSITION"));
    if (mode < kTriangles || position < 0) continue;
    ESP_ASSIGN(const uint64_t vertices, document.accessor_count(position));
    ESP_ASSIGN(const int64_t indices, int_member(primitive, "indices", -1, 0, INT32_MAX));
    uint64_t corners = vertices;
    if (indices >= 0) {
      ESP_TRY(check_encoding(document, primitive, position));
      ESP_ASSIGN(corners, document.accessor_count(indices));
    }
    out.vertices += vertices;
    out.faces += triangle_count(mode, corners);
  }
  return out;
}

Result<LocalMesh> read_gltf_mesh(const Document& document, const Json& mesh, const std::vector<double>& weights,
                                 const std::vector<UvMapping>& mappings) {
  std::vector<double> used = weights;
  if (used.empty()) {
    ESP_ASSIGN(used, morph_weights(mesh));
  }
  std::vector<Primitive> parts;
  bool normals = false, uvs = false, colors = false, skinned = false;
  for (const Json& json : *member(mesh, "primitives")) {
    ESP_ASSIGN(Primitive part, read_primitive(document, json, used, mappings));
    if (part.mesh.triangles.empty()) continue;
    normals = normals || !part.mesh.normals.empty();
    uvs = uvs || !part.mesh.uvs.empty();
    colors = colors || !part.mesh.colors.empty();
    skinned = skinned || !part.influences.empty();
    parts.push_back(std::move(part));
  }
  LocalMesh out;
  for (Primitive& part : parts) {
    if (normals && part.mesh.normals.empty()) split_flat(part);
    join(part, normals, uvs, colors, skinned, out);
  }
  drop_unused(out);
  weld_points(out.mesh, /*with_normals=*/true);
  return out;
}

}  // namespace espalier::mesh::internal
