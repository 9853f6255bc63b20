#pragma once

#include <vector>

#include "image/image.h"

namespace espalier::image {

// [H, W, C] bytes -> [C, H, W] float32, each byte / 255.
std::vector<float> to_planes(const Image& image);

}  // namespace espalier::image
