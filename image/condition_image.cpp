#include "image/condition_image.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "image/crop.h"
#include "image/planes.h"
#include "image/resample.h"

namespace espalier::image {
namespace {

constexpr int kMaxConditionSide = 4096;
constexpr float kMean[3] = {0.485f, 0.456f, 0.406f};
constexpr float kStd[3] = {0.229f, 0.224f, 0.225f};

Status check(const Image& image, int channels, int size) {
  if (image.channels != channels || image.width < 1 || image.height < 1) {
    return absl::InvalidArgumentError(absl::StrCat("a condition image needs ", channels, " channels, got ", image.width,
                                                   " x ", image.height, " x ", image.channels));
  }
  if (size >= 1 && size <= kMaxConditionSide) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("condition image size ", size, "; must be 1 to ", kMaxConditionSide));
}

}  // namespace

std::vector<float> to_planes(const Image& image) {
  const size_t pixels = static_cast<size_t>(image.width) * image.height;
  std::vector<float> planes(pixels * image.channels);
  for (int c = 0; c < image.channels; ++c) {
    float* plane = planes.data() + pixels * c;
    const uint8_t* from = image.pixels.data() + c;
    for (size_t i = 0; i < pixels; ++i) plane[i] = static_cast<float>(from[i * image.channels]) / 255.0f;
  }
  return planes;
}

void normalise_imagenet(std::vector<float>& planes) {
  const size_t pixels = planes.size() / 3;
  for (int c = 0; c < 3; ++c) {
    for (size_t i = pixels * c; i < pixels * (c + 1); ++i) planes[i] = (planes[i] - kMean[c]) / kStd[c];
  }
}

Result<std::vector<float>> training_condition_image(const Image& rgba, int size) {
  ESP_TRY(check(rgba, 4, size));
  const std::optional<Bounds> box = alpha_bounds(rgba, /*least_alpha=*/1);
  if (!box) return absl::InvalidArgumentError("the view shows nothing: every alpha is 0");
  const double half = std::max(box->x1 - box->x0, box->y1 - box->y0) / 2.0;
  const double center_x = (box->x0 + box->x1) / 2.0, center_y = (box->y0 + box->y1) / 2.0;
  const auto edge = [](double v) { return static_cast<int>(v); };  // toward zero, as Python's int()
  const Bounds square{edge(center_x - half), edge(center_y - half), edge(center_x + half), edge(center_y + half)};
  if (square.x1 <= square.x0 || square.y1 <= square.y0) {
    return absl::InvalidArgumentError("the visible object is smaller than 2 pixels");
  }
  ESP_ASSIGN(const Image resized, resize(crop(rgba, square), size, size, Filter::kLanczos));
  std::vector<float> planes = to_planes(resized);
  const size_t pixels = static_cast<size_t>(size) * size;
  for (int c = 0; c < 3; ++c) {
    for (size_t i = 0; i < pixels; ++i) planes[pixels * c + i] *= planes[pixels * 3 + i];
  }
  planes.resize(pixels * 3);
  return planes;
}

Result<std::vector<float>> inference_condition_image(const Image& rgb, int size) {
  ESP_TRY(check(rgb, 3, size));
  ESP_ASSIGN(const Image resized, resize(rgb, size, size, Filter::kLanczos));
  return to_planes(resized);
}

}  // namespace espalier::image
