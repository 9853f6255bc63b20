#include "infer/samplers/time_grid.h"

namespace espalier::infer {

std::vector<TimeStep> time_grid(int steps, double rescale_t) {
  const double stride = -1.0 / steps;
  const auto time = [&](int i) {
    const double u = i == steps ? 0.0 : i * stride + 1.0;
    return rescale_t * u / (1 + (rescale_t - 1) * u);
  };
  std::vector<TimeStep> grid;
  grid.reserve(steps);
  for (int i = 0; i < steps; ++i) grid.push_back({time(i), time(i + 1)});
  return grid;
}

float network_time(double t) { return static_cast<float>(1000 * t); }

}  // namespace espalier::infer
