#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "common/status.h"
#include "image/foreground.h"
#include "infer/networks.h"
#include "infer/request.h"
#include "infer/stage.h"

namespace espalier::infer {

// The condition image [3 * side * side] in [0, 1] for each tier whose tokens a request needs.
using ConditionImages = std::map<int, std::vector<float>>;

// Decodes an image, frees it of its background and sizes it once per tier, times grid_scale.
// `matting`: null when there is none. INVALID_ARGUMENT, FAILED_PRECONDITION: see image/foreground.h.
Result<ConditionImages> condition_images(const std::string& encoded, image::BackgroundRemoval background,
                                         const std::vector<int>& tiers, double grid_scale, image::Matting* matting);

// What the condition images say of a request: a picture that cannot be used is a fault; a need that the caller's
// request alone cannot meet (FAILED_PRECONDITION) keeps its own code, unless there are plain faults too.
void add_image_fault(const Result<ConditionImages>& images, std::vector<Fault>& faults);

// Image tokens [1, L, C] float32 on the encoder's device for each of the images; stage "condition".
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, get_cond.
Result<std::map<int, at::Tensor>> encode(const ConditionImages& images, Networks& networks, const StageHooks& hooks);

}  // namespace espalier::infer
