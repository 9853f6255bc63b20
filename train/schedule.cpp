#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace espalier::train {

double Schedule::rate(int64_t step) const {
  if (step < warmup_steps) return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (kind == Kind::kConstant) return learning_rate;
  const auto length = static_cast<double>(std::max<int64_t>(total_steps - warmup_steps, 1));
  const double progress = std::min(1.0, static_cast<double>(step - warmup_steps) / length);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return learning_rate * (final_fraction + (1 - final_fraction) * cosine);
}

}  // namespace espalier::train
