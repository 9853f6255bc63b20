#pragma once

#include <cstdint>
#include <memory>

#include "image/image.h"
#include "render/camera.h"

// Path-traced pictures of a scene: principled materials, soft point lights and a uniform environment, Filmic tone,
// straight alpha. Matches Blender Cycles 3.x with one diffuse and one glossy bounce (Burley, "Physically Based Shading
// at Disney", 2012; Walter et al., "Microfacet Models for Refraction", 2007).
namespace espalier::render {

struct ViewOptions {
  int size = 1024;            // pixels per side, 1 .. 4096
  int samples = 32;           // paths per pixel, 1 .. 4096
  uint64_t key = 0;           // of the random numbers
  int threads = 0;            // 0: one per core; the picture does not depend on it
  bool mask_as_blend = true;  // alpha MASK is drawn soft, as the reference draws it
};

// A scene prepared for rendering; immutable, so views may be rendered from several threads.
class SceneTracer {
 public:
  // Copies what it needs. INVALID_ARGUMENT for a scene that is not valid.
  static Result<SceneTracer> make(const mesh::Scene& scene);
  SceneTracer(SceneTracer&&) noexcept;
  SceneTracer& operator=(SceneTracer&&) noexcept;
  ~SceneTracer();

  // RGBA with straight alpha. INVALID_ARGUMENT names the option that is out of range.
  Result<image::Image> render(const Camera& camera, const Lighting& lighting, const ViewOptions& options) const;

 private:
  struct Data;
  explicit SceneTracer(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace espalier::render
