#pragma once

#include <cstdint>

namespace espalier::train {

// The learning rate of an update: constant or cosine, behind a linear warm-up.
struct Schedule {
  enum class Kind { kConstant, kCosine };
  Kind kind = Kind::kConstant;
  double learning_rate = 1e-4;
  int64_t warmup_steps = 0;      // update n < warmup_steps uses (n + 1) / warmup_steps of the rate
  int64_t total_steps = 1;       // where the cosine ends
  double final_fraction = 0.02;  // of the rate, at the end of the cosine

  // `step` counts updates from 0.
  double rate(int64_t step) const;
};

}  // namespace espalier::train
