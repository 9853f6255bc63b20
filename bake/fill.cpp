#include "bake/fill.h"

#include <algorithm>

#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr size_t kRowsPerTask = 32;

template <class Work>
void for_rows(int height, int threads, const Work& work) {
  const size_t rows = static_cast<size_t>(height), tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(tasks, worker_count(threads, tasks), [&](size_t task, int) {
    const size_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (size_t y = task * kRowsPerTask; y < end; ++y) work(static_cast<int>(y));
  });
}

// An image and which of its texels have a colour.
struct Level {
  image::Image image;
  std::vector<uint8_t> filled;
};

// One texel of the level below: the mean of the coloured ones of its 2 x 2.
void shrink_texel(const image::Image& image, const std::vector<uint8_t>& filled, int x, int y, Level& out) {
  int sum[4] = {}, count = 0;
  for (int v = 2 * y; v < std::min(2 * y + 2, image.height); ++v) {
    for (int u = 2 * x; u < std::min(2 * x + 2, image.width); ++u) {
      if (filled[static_cast<size_t>(v) * static_cast<size_t>(image.width) + static_cast<size_t>(u)] == 0) continue;
      for (int c = 0; c < image.channels; ++c) sum[c] += image.at(u, v)[c];
      ++count;
    }
  }
  if (count == 0) return;
  out.filled[static_cast<size_t>(y) * static_cast<size_t>(out.image.width) + static_cast<size_t>(x)] = 1;
  for (int c = 0; c < image.channels; ++c) out.image.at(x, y)[c] = static_cast<uint8_t>((sum[c] + count / 2) / count);
}

Level shrunk(const image::Image& image, const std::vector<uint8_t>& filled, int threads) {
  Level out;
  out.image = {(image.width + 1) / 2, (image.height + 1) / 2, image.channels, {}};
  const size_t texels = static_cast<size_t>(out.image.width) * static_cast<size_t>(out.image.height);
  out.image.pixels.resize(texels * static_cast<size_t>(image.channels));
  out.filled.resize(texels);
  for_rows(out.image.height, threads, [&](int y) {
    for (int x = 0; x < out.image.width; ++x) shrink_texel(image, filled, x, y, out);
  });
  return out;
}

}  // namespace

void fill_gaps(image::Image& image, const std::vector<uint8_t>& filled, int threads) {
  const auto none_is = [&](uint8_t value) { return std::find(filled.begin(), filled.end(), value) == filled.end(); };
  if (none_is(0) || none_is(1)) return;
  Level below = shrunk(image, filled, threads);
  fill_gaps(below.image, below.filled, threads);
  for_rows(image.height, threads, [&](int y) {
    for (int x = 0; x < image.width; ++x) {
      if (filled[static_cast<size_t>(y) * static_cast<size_t>(image.width) + static_cast<size_t>(x)] != 0) continue;
      std::copy_n(below.image.at(x / 2, y / 2), image.channels, image.at(x, y));
    }
  });
}

}  // namespace espalier::bake
