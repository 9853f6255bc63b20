#pragma once

#include <cstdint>
#include <vector>

#include "common/status.h"
#include "image/foreground.h"
#include "infer/adapters.h"
#include "infer/condition.h"
#include "infer/engine.h"
#include "infer/networks.h"
#include "infer/stage.h"

// A given mesh, textured: its dual grid -> shape latent by the encoder -> texture latent -> materials of the grid's
// voxels -> textures of the mesh.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_texturing.py.
namespace espalier::infer {

// A request after every check, with all that it needs beside the networks.
struct RetexturePlan {
  int tier = 0;        // of the texture's network and the condition image
  int resolution = 0;  // as in requests
  int32_t voxels = 0;  // per side
  ConditionImages images;
  std::vector<LoadedAdapter> adapters;
  SamplerParams params;
};

// `faults`, errors: as make_plan(). Thread-safe.
Result<RetexturePlan> make_retexture_plan(const RetextureRequest& request, Networks& networks, image::Matting* matting,
                                          std::vector<Fault>& faults);

// One at a time on the same networks. Errors as Engine::retexture; c10::Error and std::bad_alloc pass.
Result<GeneratedAssets> run_retexture(const RetextureRequest& request, RetexturePlan plan, Networks& networks,
                                      uint64_t seed, int64_t token_limit, const StageHooks& hooks);

}  // namespace espalier::infer
