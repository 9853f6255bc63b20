#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::nn {
class BaseModel;
}

namespace espalier::preprocess {

// z [channels, side, side, side] float32.
struct StructureLatent {
  std::vector<float> z;
  int channels = 0;
  int side = 0;
};

// The sparse-structure encoder of a base, in float32 on the CPU. Thread-safe.
class StructureEncoder {
 public:
  // NOT_FOUND, INVALID_ARGUMENT or DATA_LOSS when the base has no encoder or a broken one.
  static Result<std::unique_ptr<StructureEncoder>> load(const nn::BaseModel& base);
  ~StructureEncoder();

  const std::string& name() const { return name_; }      // checkpoint stem
  const std::string& sha256() const { return sha256_; }  // of the checkpoint

  // The posterior mean for an occupancy [side, side, side] of 0 and 1. Errors start with a code: ENCODE_NONFINITE,
  // OUT_OF_MEMORY.
  Result<StructureLatent> encode(std::span<const uint8_t> occupancy, int side) const;

 private:
  struct Network;
  StructureEncoder(std::unique_ptr<Network> network, std::string name, std::string sha256);
  std::unique_ptr<Network> network_;
  std::string name_, sha256_;
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
