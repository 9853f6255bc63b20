#pragma once

#include <vector>

// The times a flow sampler visits, from 1 (noise) to 0 (data).
//
// Everything is float64 and evaluated exactly as written (no fused multiply-add): guidance intervals have closed ends
// that coincide with grid points, so another rounding would switch guidance on or off for a whole step.
// Reference: TRELLIS.2 trellis2/pipelines/samplers/flow_euler.py.
namespace espalier::infer {

struct TimeStep {
  double t = 1;       // where the step starts
  double t_prev = 0;  // where it ends, below t; 0 for the last
};

// `steps` >= 1 steps; rescale_t > 1 makes them small near the noise and large near the data.
std::vector<TimeStep> time_grid(int steps, double rescale_t);

// The number handed to a network: 1000 t, rounded once.
float network_time(double t);

}  // namespace espalier::infer
