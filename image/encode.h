#pragma once

#include <string_view>

#include "common/status.h"
#include "image/image.h"

// What the encoders check alike; not for other folders.
namespace espalier::image {

// INVALID_ARGUMENT naming the format: a side outside 1 .. `max_side`, fewer than `least_channels`, more than 4 or 2
// channels, pixels of the wrong length, a quality outside 1..100.
Status check_encodable(const Image& image, std::string_view format, int max_side, int least_channels, int quality);

}  // namespace espalier::image
