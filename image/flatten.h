#pragma once

#include <cstdint>

#include "image/image.h"

namespace espalier::image {

// A channel of straight alpha over a ground, rounded to the nearest.
inline uint8_t over(uint8_t channel, uint8_t alpha, uint8_t ground) {
  return static_cast<uint8_t>((channel * alpha + ground * (255 - alpha) + 127) / 255);
}

// RGB or RGBA over a grey ground: RGB.
Image flattened(const Image& image, uint8_t ground);

}  // namespace espalier::image
