#pragma once

#include <vector>

#include "common/status.h"
#include "image/image.h"
#include "mesh/surface.h"
#include "render/camera.h"

// How alike the colours of two surfaces look.
namespace espalier::evaluate {

struct ColoredSurface {
  mesh::Surface surface;           // in [-0.5, 0.5]^3
  std::vector<mesh::Vec3> colors;  // [N] base colour of each vertex as textures store it, nominally 0 .. 1
};

// The four cameras that colours are compared from: all around, a little from above.
std::vector<render::Camera> color_cameras();

inline constexpr int kColorPixels = 128;  // per side of a compared picture

// What a camera sees of the colours, without light: RGBA, alpha 255 where a ray through the pixel's centre meets the
// surface and 0 elsewhere. Colours are clamped to 0 .. 1. Triangles are seen from both sides.
// INVALID_ARGUMENT: colours that are not one per vertex, `size` outside 1..4096, as validate().
Result<image::Image> color_view(const ColoredSurface& object, const render::Camera& camera, int size);

struct ColorAgreement {
  double psnr = 0;         // dB, over all pixels that show either object; where one is missing it counts as mid-grey
  double psnr_common = 0;  // dB, over the pixels that show both: tells the colours apart from the shapes
};

// From the four views. Peak signal-to-noise ratio of the mean squared error of all pixels and channels together, at
// most 99 dB. A `got` without triangles is seen nowhere. Without a common pixel psnr_common is 0.
// INVALID_ARGUMENT: as color_view(); a `want` without triangles.
Result<ColorAgreement> color_agreement(const ColoredSurface& got, const ColoredSurface& want);

}  // namespace espalier::evaluate
