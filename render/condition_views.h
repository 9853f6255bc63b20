#pragma once

#include <string>
#include <vector>

#include "render/scene_view.h"

// The pictures an object is conditioned on in training. Reference: TRELLIS.2 data_toolkit/render_cond.py.
namespace espalier::render {

struct ConditionViewOptions {
  int views = 16;      // 1 .. 1024
  int size = 1024;     // pixels per side
  int samples = 32;    // paths per pixel
  uint64_t seed = 0;   // of the dataset
  std::string sha256;  // of the object; with `seed` it decides cameras, lights and noise
  int threads = 0;     // 0: one per core; the pictures do not depend on it
  bool mask_as_blend = true;
};

struct ConditionView {
  image::Image rgba;
  Camera camera;
  Lighting lighting;
};

// `normalised` fills the unit cube around the origin, Z up. A view with no opaque pixel is drawn again with another
// camera, at most 8 times; then FAILED_PRECONDITION "EMPTY_RENDER".
Result<std::vector<ConditionView>> render_condition_views(const mesh::Scene& normalised,
                                                          const ConditionViewOptions& options);

// The text of `transforms.json`; scale and offset are the map world = scale * source + offset. Frames are named
// 000.png, 001.png, ...
std::string transforms_json(const std::vector<ConditionView>& views, const ConditionViewOptions& options, double scale,
                            const Vec3& offset);

}  // namespace espalier::render
