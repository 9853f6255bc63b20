#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"

// The contents of a prepared dataset's files, which may come from a stranger.
namespace espalier::dataset {

inline constexpr uint64_t kMaxFileBytes = uint64_t{128} << 20;  // one view or one latent

struct SsLatent {
  int channels = 0, grid = 0;
  std::vector<float> values;  // [channels, grid, grid, grid]
};

// All of these: INVALID_ARGUMENT saying what is wrong, without the file's name.

// z float32 [C, r, r, r], finite.
Result<SsLatent> parse_ss_latent(std::string_view npz);

// coords uint8 [M, 3], below `resolution`.
Result<std::vector<uint8_t>> parse_occupancy(std::string_view npz, int resolution);

// coords uint8 [T, 3], below `grid` (1 .. 256) and no two the same; feats float32 [T, C], finite; 1 <= T <= max_tokens.
// Rows may come in any order.
Result<StructuredLatent> parse_structured_latent(std::string_view npz, int grid, int64_t max_tokens);

// A PNG whose header says 8-bit RGBA, square, of the given size. The pixels are checked where they are decoded.
Status check_png(std::string_view bytes, int size);

}  // namespace espalier::dataset
