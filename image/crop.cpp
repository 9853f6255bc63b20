#include "image/crop.h"

#include <algorithm>
#include <cstring>

namespace espalier::image {

std::optional<Bounds> alpha_bounds(const Image& rgba, int least_alpha) {
  Bounds box{rgba.width, rgba.height, -1, -1};
  for (int y = 0; y < rgba.height; ++y) {
    const uint8_t* alpha = rgba.at(0, y) + 3;
    for (int x = 0; x < rgba.width; ++x) {
      if (alpha[4 * x] < least_alpha) continue;
      box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x), std::max(box.y1, y)};
    }
  }
  if (box.x1 < 0) return std::nullopt;
  return box;
}

Image crop(const Image& image, const Bounds& box) {
  Image out{box.x1 - box.x0, box.y1 - box.y0, image.channels, {}};
  out.pixels.assign(static_cast<size_t>(out.width) * out.height * out.channels, 0);
  const int x0 = std::max(box.x0, 0), x1 = std::min(box.x1, image.width);
  if (x0 >= x1) return out;
  for (int y = std::max(box.y0, 0); y < std::min(box.y1, image.height); ++y) {
    std::memcpy(out.at(x0 - box.x0, y - box.y0), image.at(x0, y), static_cast<size_t>(x1 - x0) * image.channels);
  }
  return out;
}

}  // namespace espalier::image
