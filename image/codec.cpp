#include "image/codec.h"

#include "absl/strings/str_cat.h"
#include "image/format_decoders.h"

namespace espalier::image {
namespace {

constexpr std::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kJpegMagic("\xff\xd8\xff", 3);

bool is_webp(std::string_view bytes) {
  return bytes.size() >= 12 && bytes.substr(0, 4) == "RIFF" && bytes.substr(8, 4) == "WEBP";
}

}  // namespace

Status check_size(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width >= 1 && height >= 1 && width <= limits.max_side && height <= limits.max_side) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("image is ", width, " x ", height, " pixels; each side must be 1 to ", limits.max_side));
}

Result<DecodedImage> decode(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("image file has ", bytes.size(), " bytes; the limit is ", limits.max_bytes));
  }
  if (bytes.starts_with(kPngMagic)) return decode_png(bytes, limits);
  if (bytes.starts_with(kJpegMagic)) return decode_jpeg(bytes, limits);
  if (is_webp(bytes)) return decode_webp(bytes, limits);
  return absl::InvalidArgumentError("not an image file this program reads: expected PNG, JPEG or WebP");
}

}  // namespace espalier::image
