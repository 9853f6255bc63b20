#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "image/image.h"

// Small captions in pictures.
namespace espalier::image {

// Writes one line with its top left corner at (x, y), a capital letter 7 * scale pixels high; what is outside the
// picture is cut off. Characters other than printable ASCII become question marks. `color` has the picture's first
// three channels; alpha becomes opaque.
void draw_text(Image& picture, int x, int y, std::string_view line, int scale, const std::array<uint8_t, 3>& color);

// Pixels that the line takes to the right and below, with the room between lines.
int text_width(std::string_view line, int scale);
int text_height(int scale);

// The line, or its beginning and "..." when it would be wider.
std::string shortened(std::string_view line, int scale, int width);

}  // namespace espalier::image
