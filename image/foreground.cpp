#include "image/foreground.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "image/crop.h"
#include "image/resample.h"

namespace espalier::image {
namespace {

constexpr int kMaxSide = 1024;
constexpr int kForegroundAlpha = 205;  // alpha > 0.8 * 255

Result<Image> shrink(const Image& source) {
  const int longest = std::max(source.width, source.height);
  if (longest <= kMaxSide) return source;
  // The product is truncated as in the reference, which makes the long side 1023 for some sizes.
  const double scale = static_cast<double>(kMaxSide) / longest;
  const int width = static_cast<int>(source.width * scale), height = static_cast<int>(source.height * scale);
  if (width < 1 || height < 1) {
    return absl::InvalidArgumentError(absl::StrCat("image of ", source.width, " x ", source.height,
                                                   " pixels is too thin: shrunk to 1024 nothing is left of one side"));
  }
  return resize(source, width, height, Filter::kLanczos);
}

Image opaque_rgba(const Image& rgb) {
  Image out{rgb.width, rgb.height, 4, {}};
  out.pixels.reserve(rgb.pixels.size() / 3 * 4);
  for (size_t i = 0; i < rgb.pixels.size(); i += 3) {
    out.pixels.insert(out.pixels.end(), {rgb.pixels[i], rgb.pixels[i + 1], rgb.pixels[i + 2], 255});
  }
  return out;
}

Result<Image> cut_out(const Image& rgb, BackgroundRemoval removal, Matting* model) {
  switch (removal) {
    case BackgroundRemoval::kNone:
      return opaque_rgba(rgb);
    case BackgroundRemoval::kKeyer:
      return KeyerMatting().rgba(rgb);
    case BackgroundRemoval::kAuto:
    case BackgroundRemoval::kModel:
      break;
  }
  if (model != nullptr) return model->rgba(rgb);
  return absl::FailedPreconditionError(
      "the background must be removed and no matting model is configured; give an image with a transparent background, "
      "or choose background removal \"keyer\" (plain backgrounds) or \"none\"");
}

// A square of twice the integer half extent about the middle of the box; half coordinates round to even.
Result<Bounds> square_about(const Bounds& box) {
  const int half = std::max(box.x1 - box.x0, box.y1 - box.y0) / 2;
  if (half < 1) return absl::InvalidArgumentError("the image's foreground is smaller than 2 pixels");
  const double x = (box.x0 + box.x1) / 2.0, y = (box.y0 + box.y1) / 2.0;
  const auto round_even = [](double v) { return static_cast<int>(std::nearbyint(v)); };
  return Bounds{round_even(x - half), round_even(y - half), round_even(x + half), round_even(y + half)};
}

Image over_black(const Image& rgba) {
  Image out{rgba.width, rgba.height, 3, {}};
  out.pixels.resize(rgba.pixels.size() / 4 * 3);
  for (size_t i = 0; i < rgba.pixels.size() / 4; ++i) {
    const uint8_t* from = rgba.pixels.data() + 4 * i;
    for (int c = 0; c < 3; ++c) out.pixels[3 * i + c] = static_cast<uint8_t>(from[c] * from[3] / 255);
  }
  return out;
}

}  // namespace

bool has_real_alpha(const Image& image) {
  if (image.channels != 4) return false;
  for (size_t i = 3; i < image.pixels.size(); i += 4) {
    if (image.pixels[i] != 255) return true;
  }
  return false;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out{image.width, image.height, 3, {}};
  out.pixels.resize(static_cast<size_t>(image.width) * image.height * 3);
  const bool grey = image.channels == 1;
  for (size_t i = 0; i < out.pixels.size() / 3; ++i) {
    for (size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = image.pixels[i * image.channels + (grey ? 0 : c)];
  }
  return out;
}

Result<Image> preprocess_image(const Image& source, BackgroundRemoval removal, Matting* model) {
  if (source.channels != 1 && source.channels != 3 && source.channels != 4) {
    return absl::InvalidArgumentError(absl::StrCat("image has ", source.channels, " channels; expected 1, 3 or 4"));
  }
  const bool keep_alpha = removal != BackgroundRemoval::kModel && has_real_alpha(source);
  ESP_ASSIGN(Image image, shrink(keep_alpha ? source : to_rgb(source)));
  if (!keep_alpha) {
    ESP_ASSIGN(image, cut_out(image, removal, model));
  }
  const std::optional<Bounds> box = alpha_bounds(image, kForegroundAlpha);
  if (!box) return absl::InvalidArgumentError("the image has no foreground: no pixel has alpha 205 or more");
  ESP_ASSIGN(const Bounds square, square_about(*box));
  return over_black(crop(image, square));
}

}  // namespace espalier::image
