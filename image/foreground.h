#pragma once

#include "common/status.h"
#include "image/image.h"

// From a photo or rendering to the square picture of the object alone that the pipeline is conditioned on.
namespace espalier::image {

// Finds the foreground of an opaque picture. Implementations are thread-safe or say otherwise.
class Matting {
 public:
  virtual ~Matting() = default;
  // rgb [H, W, 3] -> the same pixels with the matte as alpha [H, W, 4].
  virtual Result<Image> rgba(const Image& rgb) = 0;
};

// Cuts out a nearly uniform background: floods from the border over pixels close to the border's median colour, then
// feathers the edge by one pixel. Also removes highlights that touch the border in the same colour, so it is never
// chosen by itself.
class KeyerMatting final : public Matting {
 public:
  // Largest difference per channel from the background colour, 0..255.
  explicit KeyerMatting(int tolerance = 24) : tolerance_(tolerance) {}
  Result<Image> rgba(const Image& rgb) override;

 private:
  int tolerance_;
};

enum class BackgroundRemoval {
  kAuto,   // real alpha, else the model; FAILED_PRECONDITION when no model is configured
  kModel,  // the model, also for an image with real alpha, which is dropped; FAILED_PRECONDITION as above
  kKeyer,  // real alpha, else KeyerMatting
  kNone,   // real alpha, else the whole picture is foreground (poorer results)
};

// The square RGB picture [S, S, 3] premultiplied over black, S = twice half the extent of the foreground's bounding
// box.
//
//   source  1, 3 or 4 channels; alpha counts only when 4 channels and not 255 everywhere
//   model   may be null; used by kModel, and by kAuto on opaque images
//
// Larger sides than 1024 are shrunk first. The box holds alpha >= 205. INVALID_ARGUMENT: no foreground, or one smaller
// than 2 pixels. FAILED_PRECONDITION: the model is needed and there is none.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, preprocess_image.
Result<Image> preprocess_image(const Image& source, BackgroundRemoval removal, Matting* model);

// True when the image has 4 channels and a pixel that is not fully opaque.
bool has_real_alpha(const Image& image);

// [H, W, 3] of any image: grey is repeated, alpha is dropped (not composited).
Image to_rgb(const Image& image);

}  // namespace espalier::image
