#pragma once

#include <optional>

#include "image/image.h"

namespace espalier::image {

struct Bounds {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Smallest and largest pixel indices (both inclusive) where alpha >= least_alpha; nothing when there is none.
// `rgba` must have 4 channels.
std::optional<Bounds> alpha_bounds(const Image& rgba, int least_alpha);

// The pixels of [x0, x1) x [y0, y1); zeros where the box leaves the image. The box must not be empty.
Image crop(const Image& image, const Bounds& box);

}  // namespace espalier::image
