#pragma once

#include <string_view>

#include "common/status.h"
#include "evaluate/color_agreement.h"

namespace espalier::evaluate {

// The surface of an O-Voxel grid in an .npz file as infer writes it (infer/object_files.h), and the base colours of its
// voxels, which are its vertices; none when the file has no materials. INVALID_ARGUMENT: not such a file.
Result<ColoredSurface> decoded_object(std::string_view npz);

}  // namespace espalier::evaluate
