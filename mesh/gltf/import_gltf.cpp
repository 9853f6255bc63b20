#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "mesh/gltf/document.h"
#include "mesh/gltf/materials.h"
#include "mesh/gltf/primitives.h"
#include "mesh/import_internal.h"

// The node tree of a glTF file: transforms, instances, skins.
namespace espalier::mesh::internal {
namespace {

struct Node {
  const Json* json = nullptr;
  Transform world;
  bool reached = false;
};

Result<Transform> local_transform(const Json& node) {
  Transform out;
  if (member(node, "matrix") != nullptr) {
    ESP_ASSIGN(const auto m, numbers_member(node, "matrix", 16, {}));
    std::copy(m.begin(), m.end(), out.m.begin());
    return out;
  }
  ESP_ASSIGN(const auto t, numbers_member(node, "translation", 3, {0, 0, 0}));
  ESP_ASSIGN(const auto q, numbers_member(node, "rotation", 4, {0, 0, 0, 1}));
  ESP_ASSIGN(const auto s, numbers_member(node, "scale", 3, {1, 1, 1}));
  const double length = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  if (!(length > 0)) return gltf_error("a node's rotation is zero");
  const double x = q[0] / length, y = q[1] / length, z = q[2] / length, w = q[3] / length;
  const double r[9] = {1 - 2 * (y * y + z * z), 2 * (x * y + z * w),     2 * (x * z - y * w),
                       2 * (x * y - z * w),     1 - 2 * (x * x + z * z), 2 * (y * z + x * w),
                       2 * (x * z + y * w),     2 * (y * z - x * w),     1 - 2 * (x * x + y * y)};
  for (int c = 0; c < 3; ++c) {
    for (int row = 0; row < 3; ++row) out.m[c * 4 + row] = r[c * 3 + row] * s[c];
  }
  for (int row = 0; row < 3; ++row) out.m[12 + row] = t[row];
  return out;
}

class GltfReader {
 public:
  GltfReader(const Document& document, const Companions& companions, const ImportLimits& limits)
      : document_(document), companions_(companions), limits_(limits), textures_(scene_, limits) {}

  Result<Scene> read();

 private:
  Result<std::vector<int64_t>> roots() const;
  Status walk(int64_t root);
  Result<std::vector<int64_t>> children(const Json& owner, const char* key) const;
  Status count_instances() const;
  Status add_instance(const Node& node);
  Result<std::vector<Transform>> joint_transforms(int64_t skin) const;
  Status apply_skin(const std::vector<Transform>& joints, LocalMesh& local) const;

  const Document& document_;
  const Companions& companions_;
  const ImportLimits& limits_;
  Scene scene_;
  TextureStore textures_;
  std::vector<UvMapping> mappings_;
  std::vector<Node> nodes_;
  std::vector<int64_t> order_;  // nodes reached, parents first
};

Result<std::vector<int64_t>> GltfReader::children(const Json& owner, const char* key) const {
  std::vector<int64_t> out;
  const Json* list = member(owner, key);
  if (list == nullptr) return out;
  if (!list->is_array()) return gltf_error(absl::StrCat("\"", key, "\" must be a list of nodes"));
  for (const Json& entry : *list) {
    const bool whole = entry.is_number_integer();
    const int64_t index = whole ? entry.get<int64_t>() : -1;
    if (index < 0 || index >= static_cast<int64_t>(nodes_.size())) {
      return gltf_error(absl::StrCat("\"", key, "\" names a node that does not exist"));
    }
    out.push_back(index);
  }
  return out;
}

// The nodes of the default scene; without scenes, every node that is nobody's child.
Result<std::vector<int64_t>> GltfReader::roots() const {
  if (document_.size("scenes") > 0) {
    ESP_ASSIGN(const int64_t index, int_member(document_.json(), "scene", 0, 0, INT32_MAX));
    ESP_ASSIGN(const Json* entry, document_.item("scenes", index));
    return children(*entry, "nodes");
  }
  std::vector<bool> is_child(nodes_.size());
  for (const Node& node : nodes_) {
    ESP_ASSIGN(const auto below, children(*node.json, "children"));
    for (const int64_t child : below) is_child[static_cast<size_t>(child)] = true;
  }
  std::vector<int64_t> out;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!is_child[i]) out.push_back(static_cast<int64_t>(i));
  }
  return out;
}

// Depth first. A node reached twice has two parents or closes a cycle; both are forbidden by glTF.
Status GltfReader::walk(int64_t root) {
  struct Step {
    int64_t node;
    Transform parent;
    uint32_t depth;
  };
  std::vector<Step> stack = {{root, y_up_to_z_up(), 1}};
  while (!stack.empty()) {
    const Step step = stack.back();
    stack.pop_back();
    Node& node = nodes_[static_cast<size_t>(step.node)];
    if (node.reached) return gltf_error(absl::StrCat("node ", step.node, " is reached twice"));
    if (step.depth > limits_.max_depth) return gltf_error(absl::StrCat("nodes deeper than ", limits_.max_depth));
    node.reached = true;
    ESP_ASSIGN(const Transform local, local_transform(*node.json));
    node.world = step.parent * local;
    order_.push_back(step.node);
    ESP_ASSIGN(const auto below, children(*node.json, "children"));
    for (size_t i = below.size(); i-- > 0;) stack.push_back({below[i], node.world, step.depth + 1});
  }
  return absl::OkStatus();
}

// All instances together, before any of them is read.
Status GltfReader::count_instances() const {
  std::map<int64_t, MeshCounts> meshes;
  MeshCounts total;
  for (const int64_t index : order_) {
    const Json& node = *nodes_[static_cast<size_t>(index)].json;
    ESP_ASSIGN(const int64_t mesh, int_member(node, "mesh", -1, 0, INT32_MAX));
    if (mesh < 0) continue;
    if (!meshes.contains(mesh)) {
      ESP_ASSIGN(const Json* entry, document_.item("meshes", mesh));
      ESP_ASSIGN(meshes[mesh], count_gltf_mesh(document_, *entry));
    }
    total.faces += meshes[mesh].faces;
    total.vertices += meshes[mesh].vertices;
    ESP_TRY(check_counts(total.faces, total.vertices, limits_));
  }
  return absl::OkStatus();
}

Result<std::vector<Transform>> GltfReader::joint_transforms(int64_t skin) const {
  ESP_ASSIGN(const Json* entry, document_.item("skins", skin));
  ESP_ASSIGN(const auto joints, children(*entry, "joints"));
  ESP_ASSIGN(const int64_t accessor, int_member(*entry, "inverseBindMatrices", -1, 0, INT32_MAX));
  Values inverse;
  if (accessor >= 0) {
    ESP_ASSIGN(inverse, document_.read_floats(accessor, {16}));
    if (inverse.count < joints.size()) return gltf_error("a skin has fewer bind matrices than joints");
  }
  std::vector<Transform> out;
  for (size_t j = 0; j < joints.size(); ++j) {
    const Node& node = nodes_[static_cast<size_t>(joints[j])];
    if (!node.reached) return gltf_error("a joint is not in the scene");
    Transform bind;
    if (accessor >= 0) std::copy_n(inverse.data.begin() + static_cast<int64_t>(j * 16), 16, bind.m.begin());
    out.push_back(node.world * bind);
  }
  return out;
}

// Linear blend skinning at the joints' rest pose; the result is in world space.
Status GltfReader::apply_skin(const std::vector<Transform>& joints, LocalMesh& local) const {
  Mesh& mesh = local.mesh;
  for (size_t i = 0; i < mesh.positions.size(); ++i) {
    const LocalMesh::Influence& influence = local.influences[i];
    Transform blend;
    blend.m.fill(0);
    double total = 0;
    for (size_t k = 0; k < 4; ++k) {
      const double weight = influence.weights[k];
      if (weight == 0) continue;
      if (influence.joints[k] >= joints.size()) return gltf_error("a joint index is out of range");
      total += weight;
      for (size_t e = 0; e < 16; ++e) blend.m[e] += weight * joints[influence.joints[k]].m[e];
    }
    if (!(total > 0)) continue;
    for (double& e : blend.m) e /= total;
    Mesh one;
    one.positions = {mesh.positions[i]};
    if (!mesh.normals.empty()) one.normals = {mesh.normals[i]};
    transform_mesh(blend, one);
    mesh.positions[i] = one.positions[0];
    if (!mesh.normals.empty()) mesh.normals[i] = one.normals[0];
  }
  return absl::OkStatus();
}

Status GltfReader::add_instance(const Node& node) {
  ESP_ASSIGN(const int64_t mesh, int_member(*node.json, "mesh", -1, 0, INT32_MAX));
  if (mesh < 0) return absl::OkStatus();
  ESP_ASSIGN(const Json* entry, document_.item("meshes", mesh));
  ESP_ASSIGN(const auto weights, morph_weights(*node.json));
  ESP_ASSIGN(LocalMesh local, read_gltf_mesh(document_, *entry, weights, mappings_));
  if (local.mesh.triangles.empty()) return absl::OkStatus();
  ESP_ASSIGN(const int64_t skin, int_member(*node.json, "skin", -1, 0, INT32_MAX));
  if (skin >= 0 && !local.influences.empty()) {
    ESP_ASSIGN(const auto joints, joint_transforms(skin));
    ESP_TRY(apply_skin(joints, local));
  } else {
    transform_mesh(node.world, local.mesh);
  }
  local.mesh.name = string_member(*node.json, "name").substr(0, 256);
  if (local.mesh.name.empty()) local.mesh.name = string_member(*entry, "name").substr(0, 256);
  scene_.meshes.push_back(std::move(local.mesh));
  return absl::OkStatus();
}

Result<Scene> GltfReader::read() {
  const size_t count = document_.size("nodes");
  nodes_.resize(count);
  for (size_t i = 0; i < count; ++i) nodes_[i].json = &document_.json()["nodes"][i];
  ESP_ASSIGN(const auto scene_roots, roots());
  for (const int64_t root : scene_roots) ESP_TRY(walk(root));
  ESP_TRY(count_instances());
  ESP_TRY(read_gltf_materials(document_, companions_, textures_, scene_, mappings_));
  for (const int64_t index : order_) ESP_TRY(add_instance(nodes_[static_cast<size_t>(index)]));
  if (document_.size("animations") > 0) warn(scene_, "animations are ignored; the rest pose is used");
  return std::move(scene_);
}

}  // namespace

Result<Scene> import_gltf(std::string_view bytes, bool binary, const Companions& companions,
                          const ImportLimits& limits) {
  ESP_ASSIGN(const Document document, Document::open(bytes, binary, companions, limits));
  return GltfReader(document, companions, limits).read();
}

}  // namespace espalier::mesh::internal
