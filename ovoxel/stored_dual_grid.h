#pragma once

#include <cstdint>
#include <vector>

#include "common/status.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/vxz.h"

// Dual grids as .vxz files store them: one byte per coordinate of a vertex, one for the flags.
namespace espalier::ovoxel {

// Attributes `vertices` (3 channels, packed_vertex()) and `intersected` (1 channel, bits 0..2), voxels as given.
// INTERNAL: a vertex more than 0.1 % of a voxel outside its voxel, which dual_grid() never gives.
// Reference: TRELLIS.2 data_toolkit/dual_grid.py.
Result<VoxelTable> pack_dual_grid(const DualGrid& grid, int32_t resolution);

// A dual grid read back, its vertices in voxels relative to each voxel: byte / 255.
struct StoredDualGrid {
  std::vector<Voxel> voxels;         // [M]
  std::vector<mesh::Vec3> vertices;  // [M] in [0, 1]
  std::vector<uint8_t> intersected;  // [M]

  DualGridView view() const { return {voxels, vertices, intersected, {}}; }
};

// INVALID_ARGUMENT: one of the two attributes is missing, has other channels, or a flag above bit 2.
Result<StoredDualGrid> unpack_dual_grid(VoxelTable table);

}  // namespace espalier::ovoxel
