#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "render/scene_view.h"

// Pictures to look at objects by, all alike: the camera goes around the object a little above it, with a soft light at
// its side, before a light grey ground.
namespace espalier::render {

struct PreviewOptions {
  int views = 1;                      // evenly around, 1 .. 360; the first one from the right of the front
  int size = 512;                     // pixels per side, 16 .. 2048
  int samples = 16;                   // paths per pixel, 1 .. 4096
  int threads = 0;                    // 0: one per core; the pictures do not depend on it
  std::stop_token stop;               // looked at before each view
  std::function<void(int)> progress;  // views done; may be empty
};

// RGB, `views` of them. The object may have any size and place; alpha MASK is cut at its cutoff.
// INVALID_ARGUMENT: an option out of range, or what mesh::normalize() and SceneTracer::make() refuse; CANCELLED:
// stopped.
Result<std::vector<image::Image>> render_preview(mesh::Scene scene, const PreviewOptions& options);

// The views of one object.
struct PreviewRow {
  std::string caption;
  std::vector<image::Image> views;  // RGB, of one size in all rows
};

// All rows in one picture, each under its caption, if any row has one: one below the other, or side by side where they
// have one view each.
image::Image preview_sheet(const std::vector<PreviewRow>& rows);

}  // namespace espalier::render
