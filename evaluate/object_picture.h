#pragma once

#include "common/status.h"
#include "evaluate/color_agreement.h"
#include "image/image.h"

namespace espalier::evaluate {

// The object on white, lit, from a fixed place: RGB, `size` pixels per side. Grey where it has no colours; white alone
// where it has no triangles.
Result<image::Image> object_picture(const ColoredSurface& object, int size);

}  // namespace espalier::evaluate
