#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ovoxel/grid.h"

namespace espalier::ovoxel {

// From voxels to their places in a list: a flat hash table of 8-byte slots.
//
// Coordinates lie in [0, kMaxSide), the list has less than 2^31 entries. Of equal voxels the first one is found.
// Thread-safe to read.
class VoxelIndex {
 public:
  static constexpr int32_t kMaxSide = 2048;
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit VoxelIndex(std::span<const Voxel> voxels);

  // The place of a voxel, or kNone; coordinates may be anything.
  uint32_t find(const Voxel& v) const {
    if (!in_range(v[0]) || !in_range(v[1]) || !in_range(v[2])) return kNone;
    const uint64_t key = pack(v);
    for (size_t slot = home(key);; slot = (slot + 1) & mask_) {
      if (slots_[slot] == kEmpty) return kNone;
      if (slots_[slot] >> kIndexBits == key) return static_cast<uint32_t>(slots_[slot] & kIndexMask);
    }
  }

  // False when a voxel was listed twice.
  bool unique() const { return unique_; }

 private:
  static constexpr int kIndexBits = 31;
  static constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;
  static constexpr uint64_t kEmpty = UINT64_MAX;

  static bool in_range(int32_t x) { return static_cast<uint32_t>(x) < static_cast<uint32_t>(kMaxSide); }
  static uint64_t pack(const Voxel& v) {
    return static_cast<uint64_t>(v[0]) << 22 | static_cast<uint64_t>(v[1]) << 11 | static_cast<uint64_t>(v[2]);
  }
  // Eight neighbours along z share a cache line.
  size_t home(uint64_t key) const {
    uint64_t mixed = (key >> 3) * 0x9E3779B97F4A7C15u;
    mixed ^= mixed >> 29;
    return static_cast<size_t>(mixed << 3 | (key & 7)) & mask_;
  }

  std::vector<uint64_t> slots_;  // key << 31 | place
  size_t mask_ = 0;
  bool unique_ = true;
};

}  // namespace espalier::ovoxel
