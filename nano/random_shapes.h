#pragma once

#include <array>

#include "common/philox.h"
#include "common/status.h"
#include "mesh/scene.h"

// Shapes beyond the families and their poses, for training VAEs.
namespace espalier::nano {

// Turns the scene by a rotation drawn uniformly from SO(3) and normalises it. Errors as mesh::normalize().
Status rotate_at_random(mesh::Scene& scene, PhiloxStream& random);

// A sum of plane waves inside a ball: positive inside the solid.
class RandomField {
 public:
  explicit RandomField(PhiloxStream& random);
  double operator()(const std::array<double, 3>& p) const;  // p in [-0.5, 0.5]^3

 private:
  static constexpr int kWaves = 6;
  std::array<std::array<double, 5>, kWaves> waves_{};  // wave vector, phase, amplitude
  double level_ = 0, radius_ = 0;
};

// The closed surface { field = 0 } of the solid cut off by the cube, on a grid of `side` cells. Empty when nothing is
// inside.
Result<mesh::Mesh> surface_of(const RandomField& field, int side);

// Shape `index` of a seed, normalised: a quarter objects of the families as they are, half turned at random in space,
// and a quarter surfaces of random fields.
Result<mesh::Scene> random_shape(uint64_t seed, uint32_t index);

// The same with random paint (nano/paint.h).
Result<mesh::Scene> random_painted_shape(uint64_t seed, uint32_t index);

}  // namespace espalier::nano
