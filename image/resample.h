#pragma once

#include "common/status.h"
#include "image/image.h"

namespace espalier::image {

enum class Filter { kBilinear, kBicubic, kLanczos };

// Resizes an image of 1, 3 or 4 channels to width x height, bit for bit as Pillow 11 does for modes L, RGB and RGBA.
//
// Two passes in 22-bit fixed point, horizontal first, rounded to 8 bits in between; a pass that keeps the size is left
// out. The filter is widened when shrinking (antialiasing). Four channels are RGBA with straight alpha: they are
// premultiplied, filtered and divided back, all in 8 bits.
//
// INVALID_ARGUMENT: an empty source, other channel counts, or a target side outside 1..65536.
// Thread-safe. Reference: Pillow src/libImaging/Resample.c; Convert.c (rgbA2rgba, rgba2rgbA).
Result<Image> resize(const Image& source, int width, int height, Filter filter);

}  // namespace espalier::image
