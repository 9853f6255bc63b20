#include "image/flatten.h"

namespace espalier::image {

Image flattened(const Image& image, uint8_t ground) {
  if (image.channels == 3) return image;
  Image rgb{image.width, image.height, 3, {}};
  rgb.pixels.reserve(image.pixels.size() / 4 * 3);
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    for (size_t c = 0; c < 3; ++c) rgb.pixels.push_back(over(image.pixels[i + c], image.pixels[i + 3], ground));
  }
  return rgb;
}

}  // namespace espalier::image
