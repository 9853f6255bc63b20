#pragma once

#include <span>
#include <vector>

#include "common/status.h"
#include "image/image.h"

// The two halves around a matting network: its input, and what becomes of its output. No network here.
// Reference: TRELLIS.2 trellis2/pipelines/rembg/BiRefNet.py.
namespace espalier::image {

inline constexpr int kMatteSide = 1024;  // of the network's input and output

// rgb [H, W, 3] -> [3, 1024, 1024] float32: bilinear resize (aspect ratio not kept), then ImageNet normalisation.
Result<std::vector<float>> matting_input(const Image& rgb);

// Puts the network's foreground probability [side, side] in [0, 1] on the image as alpha: truncated (not rounded) to
// 8 bits, bicubic resize to the image's size. INVALID_ARGUMENT: wrong sizes, or a probability that is not a number.
Result<Image> apply_matte(const Image& rgb, std::span<const float> probability, int side = kMatteSide);

}  // namespace espalier::image
