#pragma once

#include <array>
#include <vector>

#include "mesh/gltf/document.h"
#include "mesh/gltf/materials.h"

namespace espalier::mesh::internal {

// One glTF mesh in its own space: all primitives concatenated, with what skins and morph targets need beside it.
struct LocalMesh {
  Mesh mesh;
  struct Influence {
    std::array<uint16_t, 4> joints{};
    std::array<float, 4> weights{};
  };
  std::vector<Influence> influences;  // [N], or empty when not skinned
};

struct MeshCounts {
  uint64_t faces = 0, vertices = 0;
};

// What a mesh will take, from its accessors' counts alone.
Result<MeshCounts> count_gltf_mesh(const Document& document, const Json& mesh);

// Reads the triangles of all primitives (points and lines are left out) with morph targets applied at `weights`
// (empty: the mesh's own default weights). `mappings` [materials].
Result<LocalMesh> read_gltf_mesh(const Document& document, const Json& mesh, const std::vector<double>& weights,
                                 const std::vector<UvMapping>& mappings);

// The default weights of a node or mesh; empty when absent.
Result<std::vector<double>> morph_weights(const Json& owner);

}  // namespace espalier::mesh::internal
