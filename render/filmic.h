#pragma once

namespace espalier::render {

// Scene-linear channel value (>= 0) to the display-encoded value in [0, 1] of Blender's Filmic view, look None.
float filmic(float linear);

}  // namespace espalier::render
