#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace espalier::image {
namespace {

constexpr int kPrecision = 22;  // fractional bits: 32 minus 8 of the pixel minus 2 of headroom
constexpr int kMaxSide = 65536;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= M_PI;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

struct Kernel {
  double (*value)(double);
  double support;
};

Kernel kernel_of(Filter filter) {
  switch (filter) {
    case Filter::kBilinear:
      return {bilinear, 1.0};
    case Filter::kBicubic:
      return {bicubic, 2.0};
    case Filter::kLanczos:
      break;
  }
  return {lanczos, 3.0};
}

// The source pixels and fixed-point weights of every output pixel along one axis.
struct Taps {
  std::vector<int> first, count;  // per output pixel
  std::vector<int> weights;       // per output pixel `stride` of them, the first `count` used
  int stride = 0;
};

int to_fixed(double weight) {
  const double scaled = weight * (1 << kPrecision);
  return static_cast<int>(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

Taps make_taps(int in, int out, Filter filter) {
  const Kernel kernel = kernel_of(filter);
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  const double inverse = 1.0 / filter_scale;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.first.resize(out);
  taps.count.resize(out);
  taps.weights.resize(static_cast<size_t>(out) * taps.stride);
  std::vector<double> values(taps.stride);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in) - first;
    double sum = 0.0;
    for (int j = 0; j < count; ++j) sum += values[j] = kernel.value((j + first - center + 0.5) * inverse);
    for (int j = 0; j < count; ++j) {
      taps.weights[static_cast<size_t>(i) * taps.stride + j] = to_fixed(sum != 0.0 ? values[j] / sum : values[j]);
    }
    taps.first[i] = first;
    taps.count[i] = count;
  }
  return taps;
}

uint8_t to_pixel(int accumulated) { return static_cast<uint8_t>(std::clamp(accumulated >> kPrecision, 0, 255)); }

template <int kChannels>
void resample_row(const uint8_t* source, uint8_t* target, const Taps& taps) {
  const int out = static_cast<int>(taps.first.size());
  for (int x = 0; x < out; ++x) {
    const int* weight = taps.weights.data() + static_cast<size_t>(x) * taps.stride;
    const uint8_t* pixel = source + static_cast<size_t>(taps.first[x]) * kChannels;
    int sum[kChannels];
    for (int c = 0; c < kChannels; ++c) sum[c] = 1 << (kPrecision - 1);
    for (int j = 0; j < taps.count[x]; ++j, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sum[c] += pixel[c] * weight[j];
    }
    for (int c = 0; c < kChannels; ++c) target[x * kChannels + c] = to_pixel(sum[c]);
  }
}

Image resample_horizontally(const Image& source, int width, Filter filter) {
  const Taps taps = make_taps(source.width, width, filter);
  Image out{width, source.height, source.channels, {}};
  out.pixels.resize(static_cast<size_t>(width) * out.height * out.channels);
  const auto row = source.channels == 1 ? resample_row<1> : source.channels == 3 ? resample_row<3> : resample_row<4>;
  for (int y = 0; y < out.height; ++y) row(source.at(0, y), out.at(0, y), taps);
  return out;
}

// Whole rows at a time, so that the inner loop runs over contiguous bytes.
Image resample_vertically(const Image& source, int height, Filter filter) {
  const Taps taps = make_taps(source.height, height, filter);
  const size_t row_bytes = static_cast<size_t>(source.width) * source.channels;
  Image out{source.width, height, source.channels, {}};
  out.pixels.resize(row_bytes * height);
  std::vector<int> sums(row_bytes);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (kPrecision - 1));
    for (int j = 0; j < taps.count[y]; ++j) {
      const uint8_t* row = source.at(0, taps.first[y] + j);
      const int weight = taps.weights[static_cast<size_t>(y) * taps.stride + j];
      for (size_t i = 0; i < row_bytes; ++i) sums[i] += row[i] * weight;
    }
    uint8_t* target = out.at(0, y);
    for (size_t i = 0; i < row_bytes; ++i) target[i] = to_pixel(sums[i]);
  }
  return out;
}

Image premultiplied(const Image& straight) {
  Image out = straight;
  for (size_t i = 0; i < out.pixels.size(); i += 4) {
    for (size_t c = i; c < i + 3; ++c) {
      const int t = out.pixels[c] * out.pixels[i + 3] + 128;
      out.pixels[c] = static_cast<uint8_t>(((t >> 8) + t) >> 8);
    }
  }
  return out;
}

void divide_by_alpha(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    const int alpha = image.pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (size_t c = i; c < i + 3; ++c)
      image.pixels[c] = static_cast<uint8_t>(std::min(255 * image.pixels[c] / alpha, 255));
  }
}

Status check(const Image& source, int width, int height) {
  const bool channels = source.channels == 1 || source.channels == 3 || source.channels == 4;
  const size_t bytes = static_cast<size_t>(source.width) * source.height * source.channels;
  if (!channels || source.width < 1 || source.height < 1 || source.pixels.size() != bytes) {
    return absl::InvalidArgumentError(absl::StrCat("cannot resize an image of ", source.width, " x ", source.height,
                                                   " x ", source.channels, " with ", source.pixels.size(), " bytes"));
  }
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot resize to ", width, " x ", height, "; each side must be 1 to ", kMaxSide));
  }
  return absl::OkStatus();
}

}  // namespace

Result<Image> resize(const Image& source, int width, int height, Filter filter) {
  ESP_TRY(check(source, width, height));
  if (width == source.width && height == source.height) return source;
  const bool alpha = source.channels == 4;
  Image current = alpha ? premultiplied(source) : source;
  if (width != current.width) current = resample_horizontally(current, width, filter);
  if (height != current.height) current = resample_vertically(current, height, filter);
  if (alpha) divide_by_alpha(current);
  return current;
}

}  // namespace espalier::image
