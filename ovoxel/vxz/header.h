#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "ovoxel/grid.h"
#include "ovoxel/vxz.h"
#include "ovoxel/vxz/codec.h"

// The JSON part of a .vxz file; not for other folders.
namespace espalier::ovoxel::internal {

enum class Filter { kNone, kParent, kNeighbor };
enum class Interleave {
  kNone,  // one stream per channel
  kAsIs,  // one stream per attribute
  kAll,   // one stream
};

struct Attribute {
  std::string name;
  size_t channels = 1;
};

// One stream of bytes [N, channels] holds the channels from `first` on.
struct Stream {
  std::string name;
  size_t first = 0, channels = 1;
};

struct Range {
  uint64_t offset = 0, length = 0;
};

struct Chunk {
  Voxel idx{0, 0, 0};          // in chunks
  Range octree;                // relative to the chunk
  std::vector<Range> streams;  // as Header::streams(), relative to the chunk
  Range bytes;                 // relative to the binary part
};

struct Header {
  uint64_t voxels = 0;
  int32_t chunk_size = 256;
  Filter filter = Filter::kNone;
  Codec codec = Codec::kLzma;
  int level = 9;
  Interleave interleave = Interleave::kAsIs;
  std::vector<Attribute> attributes;
  std::vector<Chunk> chunks;

  int depth() const;  // log2(chunk_size)
  size_t channels() const;
  std::vector<Stream> streams() const;
};

// Checks everything that can be checked without the streams: ranges of all numbers, names, that each chunk has exactly
// its streams and lies inside the `binary_bytes` after the JSON. DATA_LOSS names the field; RESOURCE_EXHAUSTED when a
// limit is exceeded.
Result<Header> parse_header(std::string_view json, uint64_t binary_bytes, const VxzLimits& limits);

// For headers without a filter and interleaved as_is, which is all that is written; `chunks` hold the final ranges.
std::string format_header(const Header& header);

}  // namespace espalier::ovoxel::internal
