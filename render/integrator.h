#pragma once

#include "render/camera.h"
#include "render/surface.h"

namespace espalier::render {

struct Radiance {
  V3 color;  // premultiplied
  float alpha = 0;
};

// Light transport of one view: the reference's one diffuse and one glossy bounce, next-event estimation with multiple
// importance sampling, indirect light clamped at 10, glossy lobes widened after a bounce, three transparent passes in a
// path and its shadow rays together. Holds references; thread-safe.
class Integrator {
 public:
  Integrator(const Geometry& geometry, const Bvh& bvh, const Lighting& lighting, bool mask_as_blend)
      : geometry_(geometry), bvh_(bvh), lighting_(lighting), mask_as_blend_(mask_as_blend) {}

  // What a camera ray sees.
  Radiance trace(V3 origin, V3 direction, PathSampler& random) const;

 private:
  // `passes`: transparent layers the path has gone through so far.
  V3 reflected(Surface surface, V3 view, int passes, PathSampler& random) const;
  V3 direct(const Surface& surface, V3 view, int passes, PathSampler& random) const;
  V3 escaped(V3 origin, V3 direction, float pdf) const;
  float transmittance(V3 origin, V3 direction, float t_max, int passes) const;
  bool next_surface(V3 origin, V3 direction, float lobe, Surface& surface, int& passes) const;

  const Geometry& geometry_;
  const Bvh& bvh_;
  const Lighting& lighting_;
  bool mask_as_blend_;
};

}  // namespace espalier::render
