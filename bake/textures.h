#pragma once

#include <functional>
#include <stop_token>

#include "bake/volume_sampler.h"
#include "image/image.h"
#include "mesh/closest_point.h"

namespace espalier::bake {

struct Textures {
  image::Image color;               // RGB and alpha
  image::Image metallic_roughness;  // 0, roughness, metallic
  size_t texels = 0;                // with their centres on the surface
  size_t unfilled = 0;              // of them those without a voxel near
  size_t translucent = 0;           // of them those with an alpha below 250
};

struct TextureJob {
  const mesh::Mesh& mesh;  // with uvs; a triangle that reaches over the texture's edge goes on at the opposite one
  const VolumeSampler& volume;
  const mesh::ClosestPoint* reference = nullptr;  // where colours are looked up; null: at the texel's own place
  int size = 0;                                   // texels per side
  int threads = 0;
  std::stop_token stop;
  std::function<void(double done)> progress;  // called now and then on the caller's thread; may be empty
};

// Gives every texel whose centre is on a triangle, or near enough to one to take part in a bilinear lookup on it, the
// attributes of the place there; the other ones are filled from these. Of several triangles the first that has the
// centre counts, else the nearest. The same for every thread count.
// INVALID_ARGUMENT: no voxel near the surface, or no texel on it. CANCELLED: stopped.
Result<Textures> bake_textures(const TextureJob& job);

}  // namespace espalier::bake
