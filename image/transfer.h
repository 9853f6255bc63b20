#pragma once

#include <cmath>

namespace espalier::image {

// The sRGB transfer function (IEC 61966-2-1), of a stored value in [0, 1] to linear light.
inline float srgb_to_linear(float value) {
  return value <= 0.04045f ? value / 12.92f : std::pow((value + 0.055f) / 1.055f, 2.4f);
}

}  // namespace espalier::image
