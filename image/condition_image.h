#pragma once

#include <vector>

#include "common/status.h"
#include "image/image.h"

// The picture handed to the image feature extractor. Training and inference prepare it by different rules, and the
// released weights were trained and are used that way, so the two functions share nothing on purpose.
//
// Both return [3, size, size] float32 in [0, 1], channel-major, rows top to bottom, not yet normalised.
// INVALID_ARGUMENT: wrong channels, nothing visible, or `size` outside 1..4096.
namespace espalier::image {

// A rendered view, [H, W, 4] straight alpha: square about the bounding box of alpha > 0, RGBA Lanczos to size x size,
// then colour times alpha in float.
// Reference: TRELLIS.2 trellis2/datasets/components.py, ImageConditionedMixin.
Result<std::vector<float>> training_condition_image(const Image& rgba, int size);

// The result of `preprocess_image`, [H, W, 3]: RGB Lanczos to size x size, aspect ratio not kept.
// Reference: TRELLIS.2 trellis2/modules/image_feature_extractor.py.
Result<std::vector<float>> inference_condition_image(const Image& rgb, int size);

// In place (v - mean) / std per channel with the ImageNet constants, float32; `planes` is [3, N] with any N.
void normalise_imagenet(std::vector<float>& planes);

}  // namespace espalier::image
