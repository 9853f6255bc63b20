#include "image/text.h"

#include <stb/stb_easy_font.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace espalier::image {
namespace {

constexpr int kLineHeight = 12;             // of the font's units
constexpr size_t kBytesPerCharacter = 600;  // the font needs 270 on average

std::string printable(std::string_view line) {
  std::string text(line);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// A corner of a rectangle, as the font writes it.
struct Corner {
  float x, y, z;
  uint8_t color[4];
};

void fill(Image& picture, int x0, int y0, int x1, int y1, const std::array<uint8_t, 3>& color) {
  for (int y = std::max(y0, 0); y < std::min(y1, picture.height); ++y) {
    for (int x = std::max(x0, 0); x < std::min(x1, picture.width); ++x) {
      uint8_t* pixel = picture.at(x, y);
      for (int c = 0; c < std::min(picture.channels, 3); ++c) pixel[c] = color[static_cast<size_t>(c)];
      if (picture.channels == 4) pixel[3] = 255;
    }
  }
}

}  // namespace

void draw_text(Image& picture, int x, int y, std::string_view line, int scale, const std::array<uint8_t, 3>& color) {
  std::string text = printable(line);
  std::vector<Corner> corners(text.size() * kBytesPerCharacter / sizeof(Corner) + 4);
  const int rectangles = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(),
                                             static_cast<int>(corners.size() * sizeof(Corner)));
  for (int i = 0; i < rectangles; ++i) {
    const Corner &low = corners[4 * static_cast<size_t>(i)], &high = corners[4 * static_cast<size_t>(i) + 2];
    const auto at = [scale](int origin, float value) { return origin + static_cast<int>(std::lround(value)) * scale; };
    fill(picture, at(x, low.x), at(y, low.y), at(x, high.x), at(y, high.y), color);
  }
}

int text_width(std::string_view line, int scale) {
  std::string text = printable(line);
  return stb_easy_font_width(text.data()) * scale;
}

int text_height(int scale) { return kLineHeight * scale; }

std::string shortened(std::string_view line, int scale, int width) {
  std::string text(line);
  if (text_width(text, scale) <= width) return text;
  while (!text.empty() && text_width(text + "...", scale) > width) text.pop_back();
  return text + "...";
}

}  // namespace espalier::image
