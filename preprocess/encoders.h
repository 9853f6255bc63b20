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

// Encodes flexible dual grids for the geometry stage: dataset::kVoxelsPerCell voxels per side become one latent
// cell. Thread-safe.
class ShapeEncoder {
 public:
  // As StructureEncoder::load. INVALID_ARGUMENT also for an encoder with other input channels or another cell size.
  static Result<std::unique_ptr<ShapeEncoder>> load(const nn::BaseModel& base);
  ~ShapeEncoder();

  const Checkpoint& checkpoint() const { return checkpoint_; }

  // A dual grid as ovoxel::pack_dual_grid() gives it, with fewer than 4096 voxels per side. The cells come in ascending
  // (x, y, z) order. Errors as StructureEncoder::encode; INVALID_ARGUMENT: not such a grid.
  Result<dataset::StructuredLatent> encode(const ovoxel::VoxelTable& dual_grid) const;

  // Roughly what encoding takes for each voxel at its peak.
  uint64_t bytes_per_voxel() const;

 private:
  struct Network;
  ShapeEncoder(std::unique_ptr<Network> network, Checkpoint checkpoint);
  std::unique_ptr<Network> network_;
  Checkpoint checkpoint_;
};

// What a base offers for preparation.
struct Encoders {
  std::unique_ptr<StructureEncoder> structure;
  std::unique_ptr<ShapeEncoder> shape;  // null: the base has none

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
