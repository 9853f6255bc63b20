#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"
#include "ovoxel/vxz.h"

namespace espalier::nn {
class BaseModel;
}

// The encoders of a base's VAEs, in float32 on the CPU. Their latents are posterior means, not normalised.
namespace espalier::preprocess {

// What an encoder was loaded from.
struct Checkpoint {
  std::string name;    // file's stem
  std::string sha256;  // of the weights
};

// z [channels, side, side, side] float32.
struct StructureLatent {
  std::vector<float> z;
  int channels = 0;
  int side = 0;
};

// Encodes occupancy grids for the sparse-structure stage. Thread-safe.
class StructureEncoder {
 public:
  // NOT_FOUND, INVALID_ARGUMENT or DATA_LOSS when the base has no encoder or a broken one.
  static Result<std::unique_ptr<StructureEncoder>> load(const nn::BaseModel& base);
  ~StructureEncoder();

  const Checkpoint& checkpoint() const { return checkpoint_; }

  // occupancy [side, side, side] of 0 and 1. Errors start with a code: ENCODE_NONFINITE, OUT_OF_MEMORY.
  Result<StructureLatent> encode(std::span<const uint8_t> occupancy, int side) const;

 private:
  struct Network;
  StructureEncoder(std::unique_ptr<Network> network, Checkpoint checkpoint);
  std::unique_ptr<Network> network_;
  Checkpoint checkpoint_;
};

// What a voxel holds: a piece of a flexible dual grid (ovoxel::pack_dual_grid()) for the geometry stage, or of
// materials (ovoxel::pbr_voxels()) for the texture stage.
enum class VoxelContent { kDualGrid, kMaterial };

// Encodes a surface's voxels: dataset::kVoxelsPerCell voxels per side become one latent cell. Thread-safe.
class VoxelEncoder {
 public:
  // As StructureEncoder::load. INVALID_ARGUMENT also for an encoder with other input channels or another cell size.
  static Result<std::unique_ptr<VoxelEncoder>> load(const nn::BaseModel& base, VoxelContent content);
  ~VoxelEncoder();

  const Checkpoint& checkpoint() const { return checkpoint_; }

  // Voxels of that content, fewer than 4096 per side. The cells come in ascending (x, y, z) order, so that the same
  // voxels give the same cells whatever they hold. Errors as StructureEncoder::encode; INVALID_ARGUMENT: other voxels.
  Result<dataset::StructuredLatent> encode(const ovoxel::VoxelTable& voxels) const;

  // Roughly what encoding takes for each voxel at its peak.
  uint64_t bytes_per_voxel() const;

 private:
  struct Network;
  VoxelEncoder(VoxelContent content, std::unique_ptr<Network> network, Checkpoint checkpoint);
  const VoxelContent content_;
  std::unique_ptr<Network> network_;
  Checkpoint checkpoint_;
};

// What a base offers for preparation.
struct Encoders {
  std::unique_ptr<StructureEncoder> structure;
  std::unique_ptr<VoxelEncoder> shape;    // null: the base has none
  std::unique_ptr<VoxelEncoder> texture;  // null: the base has none, or none for the shape, without which texture
                                          // cannot be trained

  static Result<Encoders> load(const nn::BaseModel& base);
};

// Sets how many threads the numerics of the calling thread use; the result of an encoding does not depend on what else
// runs when it is 1. Restores the process-wide setting at the end of the scope.
class NumericThreads {
 public:
  explicit NumericThreads(int threads);
  ~NumericThreads();
  NumericThreads(const NumericThreads&) = delete;
  NumericThreads& operator=(const NumericThreads&) = delete;

 private:
  int before_;
};

}  // namespace espalier::preprocess
