#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "render/vector.h"

namespace espalier::render {

struct Hit {
  float t;
  uint32_t triangle;
  float u, v;  // barycentric weights of the second and third corner
};

// Ray queries against a triangle soup. Immutable after make; queries are thread-safe.
class Bvh {
 public:
  // Indices must be below the number of positions, which are copied. RESOURCE_EXHAUSTED or INTERNAL when the structure
  // cannot be built.
  static Result<Bvh> make(const std::vector<V3>& positions, const std::vector<mesh::Triangle>& triangles);
  Bvh(Bvh&&) noexcept;
  Bvh& operator=(Bvh&&) noexcept;
  ~Bvh();

  bool intersect(V3 origin, V3 direction, float t_max, Hit& hit) const;
  bool occluded(V3 origin, V3 direction, float t_max) const;

 private:
  struct State;
  explicit Bvh(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace espalier::render
