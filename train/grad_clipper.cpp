#include "train/grad_clipper.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace espalier::train {
namespace {

// numpy.percentile with linear interpolation.
double percentile_of(std::vector<float> values, double percentile) {
  std::sort(values.begin(), values.end());
  const double at = percentile / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  const double share = at - static_cast<double>(below);
  return values[below] + share * (static_cast<double>(values[above]) - values[below]);
}

}  // namespace

AdaptiveGradClipper::AdaptiveGradClipper(double max_norm, double percentile, int64_t buffer_size)
    : max_norm_(max_norm), percentile_(percentile) {
  TORCH_CHECK(max_norm > 0 && buffer_size > 0, "max_norm and buffer_size must be positive");
  state_.norms.assign(static_cast<size_t>(buffer_size), 0.f);
  state_.limit = max_norm;
}

double AdaptiveGradClipper::clip_(at::Tensor& gradient) {
  const auto norm = at::linalg_vector_norm(gradient, 2);
  const auto factor = (state_.limit / (norm + 1e-6)).clamp_max(1.0);
  gradient.mul_(factor);  // infinity times zero is NaN: the caller sees it and skips the update
  const double value = norm.item<double>();
  if (std::isfinite(value)) remember(value);
  return value;
}

void AdaptiveGradClipper::remember(double norm) {
  const auto size = static_cast<int64_t>(state_.norms.size());
  state_.norms[static_cast<size_t>(state_.pointer)] = static_cast<float>(norm);
  state_.pointer = (state_.pointer + 1) % size;
  state_.length = std::min(state_.length + 1, size);
  if (state_.length == size) state_.limit = std::min(percentile_of(state_.norms, percentile_), max_norm_);
}

void AdaptiveGradClipper::restore(State state) {
  TORCH_CHECK(state.norms.size() == state_.norms.size() && state.length >= 0 && state.pointer >= 0 &&
                  state.pointer < static_cast<int64_t>(state.norms.size()) &&
                  state.length <= static_cast<int64_t>(state.norms.size()),
              "clipper state of another size");
  state_ = std::move(state);
}

}  // namespace espalier::train
