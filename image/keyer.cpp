#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "image/foreground.h"

namespace espalier::image {
namespace {

using Color = std::array<uint8_t, 3>;

template <class Visit>
void for_each_border_pixel(const Image& image, Visit visit) {
  for (int x = 0; x < image.width; ++x) {
    visit(x, 0);
    visit(x, image.height - 1);
  }
  for (int y = 1; y + 1 < image.height; ++y) {
    visit(0, y);
    visit(image.width - 1, y);
  }
}

Color border_median(const Image& rgb) {
  std::array<std::vector<uint8_t>, 3> values;
  for_each_border_pixel(rgb, [&](int x, int y) {
    for (size_t c = 0; c < 3; ++c) values[c].push_back(rgb.at(x, y)[c]);
  });
  Color median;
  for (size_t c = 0; c < 3; ++c) {
    const auto middle = values[c].begin() + static_cast<std::ptrdiff_t>(values[c].size() / 2);
    std::nth_element(values[c].begin(), middle, values[c].end());
    median[c] = *middle;
  }
  return median;
}

// 1 where the flood from the border arrives, over pixels within `tolerance` of the background colour.
std::vector<uint8_t> flood(const Image& rgb, const Color& background, int tolerance) {
  std::vector<uint8_t> reached(static_cast<size_t>(rgb.width) * rgb.height);
  std::vector<std::pair<int, int>> open;
  const auto visit = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= rgb.width || y >= rgb.height) return;
    uint8_t& mark = reached[static_cast<size_t>(y) * rgb.width + x];
    const uint8_t* pixel = rgb.at(x, y);
    for (size_t c = 0; c < 3; ++c) {
      if (std::abs(pixel[c] - background[c]) > tolerance) return;
    }
    if (mark == 0) open.emplace_back(x, y);
    mark = 1;
  };
  for_each_border_pixel(rgb, visit);
  while (!open.empty()) {
    const auto [x, y] = open.back();
    open.pop_back();
    visit(x - 1, y);
    visit(x + 1, y);
    visit(x, y - 1);
    visit(x, y + 1);
  }
  return reached;
}

// The share of a foreground pixel's 3x3 neighbourhood that is foreground; the background stays 0.
uint8_t feathered_alpha(const std::vector<uint8_t>& background, int width, int height, int x, int y) {
  if (background[static_cast<size_t>(y) * width + x] != 0) return 0;
  int inside = 0, seen = 0;
  for (int v = std::max(y - 1, 0); v <= std::min(y + 1, height - 1); ++v) {
    for (int u = std::max(x - 1, 0); u <= std::min(x + 1, width - 1); ++u) {
      ++seen;
      inside += background[static_cast<size_t>(v) * width + u] == 0;
    }
  }
  return static_cast<uint8_t>(255 * inside / seen);
}

}  // namespace

Result<Image> KeyerMatting::rgba(const Image& rgb) {
  if (rgb.channels != 3 || rgb.width < 1 || rgb.height < 1) {
    return absl::InvalidArgumentError(absl::StrCat("the keyer needs an RGB image, got ", rgb.channels, " channels"));
  }
  const std::vector<uint8_t> background = flood(rgb, border_median(rgb), tolerance_);
  Image out{rgb.width, rgb.height, 4, {}};
  out.pixels.resize(background.size() * 4);
  for (int y = 0; y < rgb.height; ++y) {
    for (int x = 0; x < rgb.width; ++x) {
      std::copy_n(rgb.at(x, y), 3, out.at(x, y));
      out.at(x, y)[3] = feathered_alpha(background, rgb.width, rgb.height, x, y);
    }
  }
  return out;
}

}  // namespace espalier::image
