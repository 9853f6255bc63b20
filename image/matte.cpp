#include "image/matte.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "image/condition_image.h"
#include "image/planes.h"
#include "image/resample.h"

namespace espalier::image {

Result<std::vector<float>> matting_input(const Image& rgb) {
  ESP_ASSIGN(const Image resized, resize(rgb, kMatteSide, kMatteSide, Filter::kBilinear));
  if (resized.channels != 3) return absl::InvalidArgumentError("matting needs an RGB image");
  std::vector<float> planes = to_planes(resized);
  normalise_imagenet(planes);
  return planes;
}

Result<Image> apply_matte(const Image& rgb, std::span<const float> probability, int side) {
  const size_t pixels = side < 1 ? 0 : static_cast<size_t>(side) * side;
  if (rgb.channels != 3 || pixels == 0 || probability.size() != pixels) {
    return absl::InvalidArgumentError(absl::StrCat("a matte of ", probability.size(), " values and side ", side,
                                                   " does not fit an image of ", rgb.channels, " channels"));
  }
  Image matte{side, side, 1, std::vector<uint8_t>(pixels)};
  for (size_t i = 0; i < pixels; ++i) {
    if (std::isnan(probability[i])) {
      return absl::InvalidArgumentError("the matting network returned a value that is not a number");
    }
    matte.pixels[i] = static_cast<uint8_t>(std::clamp(probability[i], 0.0f, 1.0f) * 255.0f);
  }
  ESP_ASSIGN(const Image alpha, resize(matte, rgb.width, rgb.height, Filter::kBicubic));
  Image out{rgb.width, rgb.height, 4, {}};
  out.pixels.resize(alpha.pixels.size() * 4);
  for (size_t i = 0; i < alpha.pixels.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) out.pixels[4 * i + c] = rgb.pixels[3 * i + c];
    out.pixels[4 * i + 3] = alpha.pixels[i];
  }
  return out;
}

}  // namespace espalier::image
