#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace espalier::image {

// An 8-bit image in memory: rows top to bottom, pixels left to right, channels interleaved.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;             // 1 grey, 3 RGB, 4 RGBA with straight (not premultiplied) alpha
  std::vector<uint8_t> pixels;  // width * height * channels

  uint8_t* at(int x, int y) { return pixels.data() + (static_cast<size_t>(y) * width + x) * channels; }
  const uint8_t* at(int x, int y) const { return pixels.data() + (static_cast<size_t>(y) * width + x) * channels; }
};

}  // namespace espalier::image
