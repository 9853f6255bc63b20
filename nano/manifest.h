#pragma once

#include "infer/samplers/flow_euler.h"

namespace espalier::nano {

// The sampler settings written into the base's pipeline.json.
infer::SamplerParams default_sampler();

// The view by which held-out objects are judged; neither the lowest nor the highest camera.
inline constexpr int kHeldView = 5;

}  // namespace espalier::nano
