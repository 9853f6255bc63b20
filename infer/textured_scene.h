#pragma once

#include <functional>
#include <string>

#include "bake/bake.h"
#include "common/status.h"
#include "infer/request.h"
#include "infer/shape.h"
#include "infer/stage.h"

namespace espalier::infer {

// How a mesh gets its textures from a volume: one of the functions of bake/bake.h, on the caller's surface.
using Bake = std::function<Result<bake::BakedObject>(const bake::AttributeVolume&, const bake::BakeOptions&)>;

// A mesh with the materials of a shape's voxels; stage "bake", in percent. `baking`: what the output options do not
// say. FAILED_PRECONDITION: what bake() refuses; CANCELLED: stopped.
Result<mesh::Scene> textured_scene(const DecodedShape& shape, const OutputOptions& output, bake::BakeOptions baking,
                                   const StageHooks& hooks, const Bake& bake);

// The scene as a .glb, its textures in the format asked for.
Result<std::string> glb_of(const mesh::Scene& scene, const OutputOptions& output);

}  // namespace espalier::infer
