#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

// Encoded files and pictures for the image tests.
namespace espalier::image {

// The bytes written in hexadecimal.
std::string from_hex(std::string_view digits);

std::string encode_jpeg(const Image& rgb);
// The JPEG with an EXIF block that says how to turn the picture (1..8).
std::string with_orientation(const std::string& jpeg, uint8_t orientation);
std::string encode_webp_lossless(const Image& image);

// A PNG file of the given header fields and no pixels.
std::string png_header(uint32_t width, uint32_t height);

// Bytes that look like noise and are the same everywhere.
Image pattern(int width, int height, int channels);

// RGBA: transparent black with an opaque red rectangle of the pixels [x0, x1) x [y0, y1).
Image rectangle(int width, int height, int x0, int y0, int x1, int y1);

}  // namespace espalier::image
