#include "tests/image/sample_files.h"

#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE declared first.
#include <jpeglib.h>
#include <webp/encode.h>
#include <zlib.h>

#include <cstdlib>

namespace espalier::image {
namespace {

void append_u32(std::string& bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
}

}  // namespace

std::string from_hex(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string encode_jpeg(const Image& rgb) {
  jpeg_compress_struct info;
  jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = static_cast<JDIMENSION>(rgb.width);
  info.image_height = static_cast<JDIMENSION>(rgb.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < rgb.height; ++y) {
    auto* row = const_cast<JSAMPROW>(rgb.at(0, y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string bytes(reinterpret_cast<char*>(data), size);
  jpeg_destroy_compress(&info);
  std::free(data);
  return bytes;
}

std::string with_orientation(const std::string& jpeg, uint8_t orientation) {
  std::string block = from_hex("ffe1002245786966000049492a000800000001001201030001000000");
  block.push_back(static_cast<char>(orientation));
  block += from_hex("00000000000000");
  return jpeg.substr(0, 2) + block + jpeg.substr(2);
}

std::string encode_webp_lossless(const Image& image) {
  uint8_t* data = nullptr;
  const int stride = image.width * image.channels;
  const size_t size = image.channels == 4
                          ? WebPEncodeLosslessRGBA(image.pixels.data(), image.width, image.height, stride, &data)
                          : WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, stride, &data);
  std::string bytes(reinterpret_cast<char*>(data), size);
  WebPFree(data);
  return bytes;
}

std::string png_header(uint32_t width, uint32_t height) {
  std::string chunk = "IHDR";
  append_u32(chunk, width);
  append_u32(chunk, height);
  chunk += std::string("\x08\x06\x00\x00\x00", 5);
  std::string bytes("\x89PNG\r\n\x1a\n", 8);
  append_u32(bytes, 13);
  bytes += chunk;
  append_u32(bytes, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size())));
  append_u32(bytes, 0);
  chunk = "IDAT";
  bytes += chunk;
  append_u32(bytes, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size())));
  return bytes;
}

Image pattern(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<size_t>(width) * height * channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>((static_cast<uint32_t>(i) * 2654435761u) >> 24);
  }
  return image;
}

Image rectangle(int width, int height, int x0, int y0, int x1, int y1) {
  Image image{width, height, 4, std::vector<uint8_t>(static_cast<size_t>(width) * height * 4)};
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      image.at(x, y)[0] = 255;
      image.at(x, y)[3] = 255;
    }
  }
  return image;
}

}  // namespace espalier::image
