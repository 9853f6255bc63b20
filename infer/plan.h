#pragma once

#include <vector>

#include "common/status.h"
#include "image/foreground.h"
#include "infer/adapters.h"
#include "infer/condition.h"
#include "infer/networks.h"
#include "infer/pipeline.h"
#include "infer/request.h"

namespace espalier::infer {

// The structure is conditioned on the image of this tier in every pipeline.
inline constexpr int kStructureTier = 512;

// A request after every check, with all that it needs beside the networks.
struct Plan {
  const Pipeline* pipeline = nullptr;  // null: the structure is all that is generated
  int resolution = 0;                  // asked for, or the base's
  ConditionImages images;
  RequestAdapters adapters;
  SamplerParams structure, shape, texture;
  bool textured = false;
};

// A base's own settings of a sampler.
SamplerParams params_of(const nn::SamplerDefaults& defaults);

// The tier of a request that names none.
int smallest_tier(const nn::BaseModel& base);

// Whether a request for a pipeline's shape also gets its texture.
bool wants_texture(const GenerateRequest& request, const Pipeline& pipeline, const Networks& networks);

// `faults`: as Engine::generate. INVALID_ARGUMENT with all of them; FAILED_PRECONDITION where there are none but the
// base lacks the stage, or there is no way to find the image's foreground. Thread-safe.
Result<Plan> make_plan(const GenerateRequest& request, Networks& networks, image::Matting* matting,
                       std::vector<Fault>& faults);

}  // namespace espalier::infer
