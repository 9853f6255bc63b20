#pragma once

#include <string_view>

#include "common/status.h"
#include "image/codec.h"

// One decoder per file format, behind `decode`. Each checks the size in the file's header before it allocates pixels.
namespace espalier::image {

Result<DecodedImage> decode_png(std::string_view bytes, const DecodeLimits& limits);
Result<DecodedImage> decode_jpeg(std::string_view bytes, const DecodeLimits& limits);
Result<DecodedImage> decode_webp(std::string_view bytes, const DecodeLimits& limits);

// INVALID_ARGUMENT naming the size found and the largest side allowed.
Status check_size(int64_t width, int64_t height, const DecodeLimits& limits);

}  // namespace espalier::image
