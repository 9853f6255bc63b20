#pragma once

namespace espalier::infer {

// Settings of a flow sampler (samplers/flow_euler.h).
struct SamplerParams {
  int steps = 50;
  double rescale_t = 1;
  double guidance_strength = 1;  // 1: conditional only; 0: unconditional only
  double guidance_rescale = 0;   // 0: the guided prediction as it is; 1: rescaled to the conditional one's spread
  double interval_start = 0;     // guidance acts at times within [start, end], both included,
  double interval_end = 1;       // elsewhere the strength is 1
  double sigma_min = 1e-5;
};

}  // namespace espalier::infer
