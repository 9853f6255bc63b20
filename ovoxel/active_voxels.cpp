#include "ovoxel/active_voxels.h"

#include "common/parallel.h"
#include "ovoxel/scan.h"

namespace espalier::ovoxel {
namespace {

using internal::Hit;
using internal::Slab;
using internal::SlabTable;

// Adds the voxels around each hit that lie in the slab.
class Collector {
 public:
  explicit Collector(SlabTable& table) : table_(table) {}

  void operator()(const Hit& hit) {
    for_each_voxel(hit, table_.slab(), [this](const Voxel& v, int) { table_.insert(v[0], v[1], v[2]); });
  }

 private:
  SlabTable& table_;
};

}  // namespace

Result<std::vector<Voxel>> active_voxels(std::span<const mesh::Vec3> positions,
                                         std::span<const mesh::Triangle> triangles, const Grid& grid, int threads) {
  ESP_TRY(internal::check_input(positions, triangles, grid));
  const auto relative = internal::relative_positions(positions, grid);
  const internal::Partition parts = internal::partition(relative, triangles, grid);
  const int workers = worker_count(threads, parts.slabs.size());
  std::vector<SlabTable> tables(static_cast<size_t>(workers), SlabTable(grid));
  std::vector<std::vector<Voxel>> found(parts.slabs.size());
  parallel_for(parts.slabs.size(), workers, [&](size_t s, int worker) {
    SlabTable& table = tables[static_cast<size_t>(worker)];
    table.start(parts.slabs[s]);
    Collector collector(table);
    internal::TriangleScan<Collector> scan(grid, parts.slabs[s], collector);
    for (const uint32_t t : parts.triangles[s]) {
      scan({relative[triangles[t][0]], relative[triangles[t][1]], relative[triangles[t][2]]});
    }
    found[s].reserve(table.size());
    table.for_each_sorted([&](const Voxel& voxel, uint32_t) { found[s].push_back(voxel); });
  });
  size_t total = 0;
  for (const auto& part : found) total += part.size();
  std::vector<Voxel> out;
  out.reserve(total);
  for (const auto& part : found) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Result<std::vector<Voxel>> active_voxels(const mesh::Scene& scene, int32_t resolution, int threads) {
  if (resolution < 1 || resolution > internal::kMaxGridSize) {
    return absl::InvalidArgumentError("resolution must be in 1..2048");
  }
  std::vector<mesh::Vec3> positions;
  std::vector<mesh::Triangle> triangles;
  for (const mesh::Mesh& mesh : scene.meshes) {
    const auto base = static_cast<uint32_t>(positions.size());
    positions.insert(positions.end(), mesh.positions.begin(), mesh.positions.end());
    for (const mesh::Triangle& t : mesh.triangles) triangles.push_back({t[0] + base, t[1] + base, t[2] + base});
  }
  return active_voxels(positions, triangles, Grid::cube(resolution), threads);
}

}  // namespace espalier::ovoxel
