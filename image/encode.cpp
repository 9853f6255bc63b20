#include "image/encode.h"

#include "absl/strings/str_cat.h"

namespace espalier::image {

Status check_encodable(const Image& image, std::string_view format, int max_side, int least_channels, int quality) {
  const absl::string_view name(format.data(), format.size());
  if (quality < 1 || quality > 100) {
    return absl::InvalidArgumentError(absl::StrCat(name, " quality ", quality, " must be 1..100"));
  }
  const bool size = image.width >= 1 && image.height >= 1 && image.width <= max_side && image.height <= max_side;
  const bool channels = image.channels >= least_channels && image.channels <= 4 && image.channels != 2;
  if (!size || !channels ||
      image.pixels.size() !=
          static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * static_cast<size_t>(image.channels)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write a ", name, " of ", image.width, " x ", image.height,
                                                   " x ", image.channels, " from ", image.pixels.size(), " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace espalier::image
