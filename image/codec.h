#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "image/image.h"

// Reading PNG, JPEG and WebP bytes of unknown origin, and writing them.
//
// The format is found by the file's first bytes, never by its name. Every limit is checked on the header, before the
// pixels are allocated. Colour profiles and all metadata are ignored except a JPEG's EXIF orientation, which is
// applied.
namespace espalier::image {

struct DecodeLimits {
  uint64_t max_bytes = uint64_t{20} << 20;  // of the encoded file
  int max_side = 4096;                      // pixels, width and height each
};

// How the file stores its colours, before `decode` makes it 1, 3 or 4 channels.
enum class ColorMode { kGray, kGrayAlpha, kPalette, kPaletteAlpha, kRgb, kRgba, kCmyk };

struct DecodedImage {
  Image image;     // 8 bit, see `decode`
  ColorMode mode;  // of the file; kPaletteAlpha, and kGrayAlpha or kRgba too when the alpha comes from a tRNS chunk
};

// Grey files give 1 channel, files with any transparency (alpha channel or PNG tRNS) give 4 with straight alpha, all
// others 3. 16-bit samples keep their high byte, 1/2/4-bit grey is spread over 0..255, CMYK becomes RGB as Pillow does.
// The reference pipeline drops the transparency of grey+alpha and palette files; here it is kept.
//
// INVALID_ARGUMENT: not one of the formats, damaged or truncated, animated, or a side of 0 or above the limit.
// RESOURCE_EXHAUSTED: more bytes than the limit. Deterministic; thread-safe.
Result<DecodedImage> decode(std::string_view bytes, const DecodeLimits& limits = {});

// 8-bit PNG of 1, 3 or 4 channels. The same image gives the same bytes (with one libpng/zlib version).
// INVALID_ARGUMENT: another number of channels, or pixels of the wrong length.
Result<std::string> encode_png(const Image& image);

// 8-bit JPEG of 1 or 3 channels; of 4, without the alpha. `quality` 1..100.
// INVALID_ARGUMENT: another number of channels, pixels of the wrong length, the quality, a side above 65535.
Result<std::string> encode_jpeg(const Image& image, int quality);

// Lossy WebP of 3 or 4 channels; straight alpha is kept exactly, and the colours under alpha 0 are kept like the
// others. `quality` 1..100. INVALID_ARGUMENT: as encode_jpeg(), 1 channel, a side above 16383.
Result<std::string> encode_webp(const Image& image, int quality);

// Frames of one size and 3 or 4 channels, shown for `milliseconds` each, for ever. INVALID_ARGUMENT: as encode_webp(),
// no frames, frames of different sizes, a time outside 1..60000.
Result<std::string> encode_webp_animation(const std::vector<Image>& frames, int milliseconds, int quality);

}  // namespace espalier::image
