#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "ovoxel/grid.h"

// O-Voxel files (.vxz): sparse voxels with byte attributes. docs/formats/vxz.md describes the format.
namespace espalier::ovoxel {

struct VoxelAttribute {
  std::string name;
  size_t channels = 1;
  std::vector<uint8_t> values;  // [M, channels]
};

struct VoxelTable {
  std::vector<Voxel> voxels;  // [M]
  std::vector<VoxelAttribute> attributes;

  // Null when there is none of that name.
  const VoxelAttribute* attribute(std::string_view name) const;
};

struct VxzLimits {
  uint64_t max_voxels = uint64_t{1} << 26;
  uint64_t max_value_bytes = uint64_t{1} << 31;  // of all attributes together
  size_t max_header_bytes = size_t{64} << 20;
};

// The whole content of a file, chunk by chunk in the file's order and in z-order inside each. Reads every codec, filter
// and interleaving of version 0. `bytes` may come from strangers: everything is checked before it sizes anything.
// `threads` 0: one per core.
// DATA_LOSS: broken, naming the part; RESOURCE_EXHAUSTED: over a limit.
// Reference: TRELLIS.2 o-voxel/o_voxel/io/vxz.py.
Result<VoxelTable> decode_vxz(std::string_view bytes, const VxzLimits& limits = {}, int threads = 0);

// How the streams of a file are compressed.
enum class VxzCodec {
  kNone,
  kDeflate,  // raw, without a zlib header
  kLzma,     // raw LZMA2, without an xz header; the dictionary is that of the preset level
  kZstd,     // one frame
};

// Everything else is as the reference writes it: chunks of 256, no filter, one stream per attribute. The reference's
// codec is LZMA at level 9, which packs best and slowly.
struct VxzOptions {
  VxzCodec codec = VxzCodec::kLzma;
  int level = 0;  // 0: the reference's for this codec
  int threads = 0;
};

// The bytes of a file. Voxels may come in any order; they are stored by chunk, then in z-order.
// INVALID_ARGUMENT: no voxels, a coordinate outside 0..2047, a voxel listed twice, an attribute whose length does not
// fit or whose name is empty, taken or reserved (svo, ptr, idx), more than 128 channels, a level out of range.
Result<std::string> encode_vxz(const VoxelTable& table, const VxzOptions& options = {});

}  // namespace espalier::ovoxel
