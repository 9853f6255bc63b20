#pragma once

#include "ovoxel/grid.h"

namespace espalier::ovoxel::internal {

// The four voxels around the far grid edge of a voxel, by the edge's axis, relative to the voxel; not for other
// folders.
inline constexpr Voxel kAroundEdge[3][4] = {
    {{0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {0, 1, 0}},
    {{0, 0, 0}, {1, 0, 0}, {1, 0, 1}, {0, 0, 1}},
    {{0, 0, 0}, {0, 1, 0}, {1, 1, 0}, {1, 0, 0}},
};

}  // namespace espalier::ovoxel::internal
