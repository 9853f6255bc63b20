#pragma once

#include <cstdint>
#include <vector>

namespace at {
class Tensor;
}

namespace espalier::train {

// Clips the global gradient norm to max_norm, and once `buffer_size` finite norms are known to the given percentile of
// the last ones where that is lower. A norm that is not finite turns the gradient into NaN and is not remembered.
// Reference: TRELLIS.2 trellis2/utils/grad_clip_utils.py, AdaptiveGradClipper.
class AdaptiveGradClipper {
 public:
  struct State {
    std::vector<float> norms;  // ring buffer
    int64_t pointer = 0;       // where the next norm goes
    int64_t length = 0;        // norms known, <= buffer_size
    double limit = 1;
  };

  explicit AdaptiveGradClipper(double max_norm = 1, double percentile = 95, int64_t buffer_size = 1000);

  // Scales `gradient` (all gradients in one tensor) in place; returns its norm before.
  double clip_(at::Tensor& gradient);
  double limit() const { return state_.limit; }  // of the next call

  const State& state() const { return state_; }
  // Takes a state of the same buffer size (TORCH_CHECK).
  void restore(State state);

 private:
  void remember(double norm);

  double max_norm_, percentile_;
  State state_;
};

}  // namespace espalier::train
