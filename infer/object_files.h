#pragma once

#include "common/status.h"
#include "infer/engine.h"
#include "infer/shape.h"
#include "infer/stage.h"
#include "mesh/scene.h"

namespace espalier::infer {

// Makes the files of one object and the counts that go with them. `sample.voxels` are the occupied cells of the
// structure, `structure_resolution` per side; `shape`: null when none was generated.
//
//   kGlb        a shape with materials gets textures baked (stage "bake", in percent), unless geometry_only
//   kVxz        attributes vertices [M, 3] (the vertex within its voxel, clamped to it, times 255) and intersected [M]
//               (bits 0..2), as the reference's data tool writes them; with materials base_color [M, 3], metallic,
//               roughness and alpha [M], clamped to 0..1, times 255
//   kNpz        coords [M, 3] int32, vertices [M, 3] float32 in voxels, intersected [M, 3] uint8 (0 or 1),
//               split_weights [M] float32, resolution [1] int32; the materials as float32 [M, 3] and [M, 1], not
//               clamped
//   kOccupancy  coords [N, 3] int32
//
// Returns what a preview is to show: the scene of the .glb, or the bare mesh without one.
// FAILED_PRECONDITION: no triangle came out, or no voxel near it; INVALID_ARGUMENT: kVxz or kNpz without a shape;
// CANCELLED: stopped.
Result<mesh::Scene> make_files(const DecodedShape* shape, int structure_resolution, const OutputOptions& options,
                               const StageHooks& hooks, GeneratedSample& sample);

}  // namespace espalier::infer
