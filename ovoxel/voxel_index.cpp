#include "ovoxel/voxel_index.h"

namespace espalier::ovoxel {

VoxelIndex::VoxelIndex(std::span<const Voxel> voxels) {
  size_t slots = 16;
  while (slots < voxels.size() * 2) slots *= 2;
  mask_ = slots - 1;
  slots_.assign(slots, kEmpty);
  for (size_t i = 0; i < voxels.size(); ++i) {
    const uint64_t key = pack(voxels[i]);
    size_t slot = home(key);
    while (slots_[slot] != kEmpty && slots_[slot] >> kIndexBits != key) slot = (slot + 1) & mask_;
    if (slots_[slot] == kEmpty) {
      slots_[slot] = key << kIndexBits | i;
    } else {
      unique_ = false;
    }
  }
}

}  // namespace espalier::ovoxel
