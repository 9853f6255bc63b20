#include <meshoptimizer.h>

#include "mesh/surface.h"

namespace espalier::mesh {
namespace {

constexpr float kAnyError = 1e10f;  // relative to the extent: only the number of triangles counts
constexpr uint32_t kUnused = UINT32_MAX;

// The vertices that `indices` use, in their order.
Surface compacted(const std::vector<Vec3>& positions, const std::vector<uint32_t>& indices) {
  std::vector<uint32_t> place(positions.size(), kUnused);
  for (const uint32_t i : indices) place[i] = 0;
  Surface out;
  for (size_t i = 0; i < positions.size(); ++i) {
    if (place[i] == kUnused) continue;
    place[i] = static_cast<uint32_t>(out.positions.size());
    out.positions.push_back(positions[i]);
  }
  for (size_t i = 0; i + 2 < indices.size(); i += 3) {
    out.triangles.push_back({place[indices[i]], place[indices[i + 1]], place[indices[i + 2]]});
  }
  return out;
}

}  // namespace

Result<Surface> simplify(const Surface& surface, size_t target) {
  ESP_TRY(validate(surface));
  std::vector<uint32_t> indices;
  for (const Triangle& t : surface.triangles) {
    if (t[0] != t[1] && t[1] != t[2] && t[2] != t[0]) indices.insert(indices.end(), t.begin(), t.end());
  }
  if (indices.size() / 3 > target) {
    std::vector<uint32_t> kept(indices.size());
    kept.resize(meshopt_simplify(kept.data(), indices.data(), indices.size(), surface.positions[0].data(),
                                 surface.positions.size(), sizeof(Vec3), target * 3, kAnyError, 0, nullptr));
    indices = std::move(kept);
  }
  return compacted(surface.positions, indices);
}

}  // namespace espalier::mesh
