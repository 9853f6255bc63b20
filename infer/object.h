#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/request.h"
#include "infer/shape.h"
#include "mesh/scene.h"
#include "ovoxel/grid.h"

// From what the stages generated to files.
namespace espalier::infer {

struct ObjectMesh {
  mesh::Mesh mesh;
  size_t holes_closed = 0;
  bool both_sides = true;  // to be seen from both, in formats that can say so
};

// The smoothed boundary of occupied cells, `resolution` per side.
Result<ObjectMesh> structure_mesh(const std::vector<ovoxel::Voxel>& cells, int resolution,
                                  const GenerateRequest& request);

// The surface of a decoded grid: holes closed if asked for; made anew if asked for, else repaired and wound
// consistently; simplified to the target, with normals. FAILED_PRECONDITION: no triangle came out.
Result<ObjectMesh> shape_mesh(const DecodedShape& shape, const GenerateRequest& request);

// What a file is made of. `shape`: null when none was generated.
struct ObjectParts {
  const ObjectMesh& object;
  const std::vector<ovoxel::Voxel>& cells;
  const DecodedShape* shape = nullptr;
};

// The bytes of one file.
//   kVxz        attributes vertices [M, 3] (the vertex within its voxel, clamped to it, times 255) and intersected [M]
//               (bits 0..2), as the reference's data tool writes them
//   kNpz        coords [M, 3] int32, vertices [M, 3] float32 in voxels, intersected [M, 3] uint8 (0 or 1),
//               split_weights [M] float32, resolution [1] int32
//   kOccupancy  coords [N, 3] int32
// INVALID_ARGUMENT: kVxz or kNpz without a shape.
Result<std::string> file_of(const ObjectParts& parts, FileFormat format);

}  // namespace espalier::infer
