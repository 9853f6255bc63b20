#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/status.h"
#include "ovoxel/vxz.h"

// The byte codecs of .vxz streams; not for other folders.
namespace espalier::ovoxel::internal {

using Codec = VxzCodec;

std::string_view codec_name(Codec codec);  // the file's spelling

struct Levels {
  int lowest, highest, usual;
};
Levels levels_of(Codec codec);

// `level` within levels_of(codec).
Result<std::string> compress(std::string_view bytes, Codec codec, int level);

// The whole stream. DATA_LOSS: broken, cut short, longer than `max_bytes`, or followed by other bytes. Memory grows
// with what really comes out. LZMA needs the level it was written with.
Result<std::string> decompress(std::string_view bytes, Codec codec, int level, size_t max_bytes);

}  // namespace espalier::ovoxel::internal
