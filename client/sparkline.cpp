#include "client/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace espalier::client {
namespace {

constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

}  // namespace

std::string sparkline(const std::vector<double>& values, int width) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](double v) { return std::isfinite(v); });
  if (finite.empty() || width < 1) return "";
  const size_t columns = std::min(finite.size(), static_cast<size_t>(width));
  std::vector<double> means;
  for (size_t i = 0; i < columns; ++i) {
    const auto from = finite.begin() + static_cast<std::ptrdiff_t>(i * finite.size() / columns);
    const auto to = finite.begin() + static_cast<std::ptrdiff_t>((i + 1) * finite.size() / columns);
    means.push_back(std::accumulate(from, to, 0.0) / static_cast<double>(to - from));
  }
  const auto [low, high] = std::minmax_element(means.begin(), means.end());
  std::string line;
  for (const double mean : means) {
    const double part = *high > *low ? (mean - *low) / (*high - *low) : 0;
    line += kBlocks[static_cast<size_t>(std::lround(part * (kBlocks.size() - 1)))];
  }
  return line;
}

}  // namespace espalier::client
