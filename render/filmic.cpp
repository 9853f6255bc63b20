#include "render/filmic.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace espalier::render {
namespace {

constexpr int kLast = 32;
constexpr std::array<double, kLast + 1> kKnots = {
    0,       .001965, .004479, .007693, .011796, .017026, .023677, .032113, .042772, .056182, .072956,
    .093784, .119414, .150602, .188031, .232207, .283321, .341102, .404705, .472670, .542399, .611745,
    .678693, .741089, .797267, .846183, .887421, .921105, .947749, .968106, .983034, .993397, 1};

// Fritsch and Carlson's monotone slopes on uniform knots, in units of one interval.
std::array<double, kLast + 1> slopes() {
  std::array<double, kLast + 1> m{};
  for (int i = 1; i < kLast; ++i) {
    const double a = kKnots[i] - kKnots[i - 1], b = kKnots[i + 1] - kKnots[i];
    m[i] = 2 * a * b / (a + b);
  }
  m[0] = kKnots[1] - kKnots[0];
  m[kLast] = kKnots[kLast] - kKnots[kLast - 1];
  return m;
}

}  // namespace

float filmic(float linear) {
  static const std::array<double, kLast + 1> m = slopes();
  const double v = std::clamp((std::log2(std::max<double>(linear, 1e-10)) + 12.473931188) / 16.5, 0.0, 1.0) * kLast;
  const int i = std::min(static_cast<int>(v), kLast - 1);
  const double t = v - i, t2 = t * t, t3 = t2 * t;
  return static_cast<float>((2 * t3 - 3 * t2 + 1) * kKnots[i] + (t3 - 2 * t2 + t) * m[i] +
                            (3 * t2 - 2 * t3) * kKnots[i + 1] + (t3 - t2) * m[i + 1]);
}

}  // namespace espalier::render
