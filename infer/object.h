#pragma once

#include <cstddef>
#include <vector>

#include "common/status.h"
#include "infer/request.h"
#include "infer/shape.h"
#include "mesh/scene.h"
#include "mesh/surface.h"
#include "ovoxel/grid.h"

// From what the stages generated to a mesh.
namespace espalier::infer {

struct ObjectMesh {
  mesh::Mesh mesh;
  size_t holes_closed = 0;
  bool both_sides = true;  // to be seen from both, in formats that can say so
  mesh::Surface decoded;   // of a shape with materials: its surface before it was changed for the files
};

// The smoothed boundary of occupied cells, `resolution` per side.
Result<ObjectMesh> structure_mesh(const std::vector<ovoxel::Voxel>& cells, int resolution,
                                  const OutputOptions& options);

// The surface of a decoded grid: holes closed if asked for; made anew if asked for, else repaired and wound
// consistently; simplified to the target, with normals. FAILED_PRECONDITION: no triangle came out.
Result<ObjectMesh> shape_mesh(const DecodedShape& shape, const OutputOptions& options);

}  // namespace espalier::infer
