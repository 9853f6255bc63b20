#include <webp/decode.h>

#include "image/format_decoders.h"

namespace espalier::image {

Result<DecodedImage> decode_webp(std::string_view bytes, const DecodeLimits& limits) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    return absl::InvalidArgumentError("WebP file is damaged: its header cannot be read");
  }
  if (features.has_animation != 0) {
    return absl::InvalidArgumentError("WebP file is an animation; a still image is needed");
  }
  ESP_TRY(check_size(features.width, features.height, limits));
  const bool alpha = features.has_alpha != 0;
  DecodedImage decoded{{features.width, features.height, alpha ? 4 : 3, {}},
                       alpha ? ColorMode::kRgba : ColorMode::kRgb};
  Image& image = decoded.image;
  const int stride = image.width * image.channels;
  image.pixels.resize(static_cast<size_t>(stride) * image.height);
  const auto* written = alpha ? WebPDecodeRGBAInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), stride)
                              : WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), stride);
  if (written == nullptr) return absl::InvalidArgumentError("WebP file is damaged or ends early");
  return decoded;
}

}  // namespace espalier::image
