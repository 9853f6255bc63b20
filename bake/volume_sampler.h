#pragma once

#include <array>
#include <optional>

#include "bake/bake.h"
#include "ovoxel/voxel_index.h"

namespace espalier::bake {

using Attributes = std::array<float, 6>;  // as AttributeVolume::values

// Trilinear lookups in a volume of which only some voxels exist. Keeps views; thread-safe.
// Reference: FlexGEMM, grid_sample_3d, trilinear.
class VolumeSampler {
 public:
  // INVALID_ARGUMENT: what bake() says of volumes.
  static Result<VolumeSampler> over(const AttributeVolume& volume);

  // The mean of the up to eight voxels around a point of [-0.5, 0.5]^3, weighted by how near their centres are; nothing
  // when none of them exists.
  std::optional<Attributes> sample(const mesh::Vec3& point) const;

 private:
  explicit VolumeSampler(const AttributeVolume& volume) : volume_(volume), index_(volume.voxels) {}

  AttributeVolume volume_;
  ovoxel::VoxelIndex index_;
};

}  // namespace espalier::bake
