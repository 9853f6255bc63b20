#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"

namespace espalier::bake {

// Colours the texels of an image that have none: each takes the mean of the coloured ones in the smallest block of
// 2, 4, 8, ... texels around it that has any, so that the smaller mip levels of coloured texels do not change.
// (Gortler et al., "The Lumigraph", 1996, 3.4: push-pull with boxes.)
//
//   filled  [height * width] 1 where the texel has a colour, else 0; unchanged. The image stays as it is without any.
//
// The same for every thread count.
void fill_gaps(image::Image& image, const std::vector<uint8_t>& filled, int threads);

}  // namespace espalier::bake
