#include <png.h>

#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/format_decoders.h"

namespace espalier::image {
namespace {

constexpr png_alloc_size_t kMaxChunkBytes = 4 << 20;
constexpr int kCompressionLevel = 6;

// State shared with libpng's callbacks. libpng reports errors by longjmp, so every function that calls setjmp here
// holds no object with a destructor; the owners live in the callers.
struct PngFile {
  explicit PngFile(std::string_view bytes) : unread(bytes) {}
  ~PngFile() { png_destroy_read_struct(&png, &info, nullptr); }
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;

  std::string_view unread;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char error[160] = "unknown";
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* text = static_cast<char*>(png_get_error_ptr(png));
  std::snprintf(text, sizeof(PngFile::error), "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t size) {
  auto* unread = static_cast<std::string_view*>(png_get_io_ptr(png));
  if (size > unread->size()) png_error(png, "the file ends early");
  std::memcpy(out, unread->data(), size);
  unread->remove_prefix(size);
}

bool read_header(PngFile& file) {
  if (setjmp(png_jmpbuf(file.png)) != 0) return false;
  // The size is checked by check_size, with its own message.
  png_set_user_limits(file.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(file.png, kMaxChunkBytes);
  png_set_read_fn(file.png, &file.unread, read_bytes);
  png_read_info(file.png, file.info);
  return true;
}

// Asks libpng for 8-bit grey, RGB or RGBA rows.
bool request_8_bit(PngFile& file) {
  if (setjmp(png_jmpbuf(file.png)) != 0) return false;
  const int type = png_get_color_type(file.png, file.info);
  const bool transparent_key = png_get_valid(file.png, file.info, PNG_INFO_tRNS) != 0;
  png_set_expand(file.png);
  png_set_strip_16(file.png);
  if ((type & PNG_COLOR_MASK_COLOR) == 0 && ((type & PNG_COLOR_MASK_ALPHA) != 0 || transparent_key)) {
    png_set_gray_to_rgb(file.png);
  }
  png_set_interlace_handling(file.png);
  png_read_update_info(file.png, file.info);
  return true;
}

bool read_rows(PngFile& file, png_bytep* rows) {
  if (setjmp(png_jmpbuf(file.png)) != 0) return false;
  png_read_image(file.png, rows);
  return true;
}

ColorMode mode_of(png_structp png, png_infop info) {
  const bool key = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  switch (png_get_color_type(png, info)) {
    case PNG_COLOR_TYPE_PALETTE:
      return key ? ColorMode::kPaletteAlpha : ColorMode::kPalette;
    case PNG_COLOR_TYPE_GRAY:
      return key ? ColorMode::kGrayAlpha : ColorMode::kGray;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return ColorMode::kGrayAlpha;
    case PNG_COLOR_TYPE_RGB:
      return key ? ColorMode::kRgba : ColorMode::kRgb;
    default:
      return ColorMode::kRgba;
  }
}

Status damaged(const PngFile& file) {
  return absl::InvalidArgumentError(absl::StrCat("PNG file is damaged: ", file.error));
}

void append_bytes(png_structp png, png_bytep data, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), size);
}

void flush_nothing(png_structp) {}

bool write_image(png_structp png, png_infop info, const Image& image, int color_type, std::string* out) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, out, append_bytes, flush_nothing);
  png_set_compression_level(png, kCompressionLevel);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8, color_type,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < image.height; ++y) png_write_row(png, image.at(0, y));
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

Result<DecodedImage> decode_png(std::string_view bytes, const DecodeLimits& limits) {
  PngFile file(bytes);
  file.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, file.error, on_error, on_warning);
  file.info = file.png == nullptr ? nullptr : png_create_info_struct(file.png);
  if (file.info == nullptr) return absl::ResourceExhaustedError("no memory to read a PNG file");
  if (!read_header(file)) return damaged(file);
  const int64_t width = png_get_image_width(file.png, file.info);
  const int64_t height = png_get_image_height(file.png, file.info);
  ESP_TRY(check_size(width, height, limits));
  DecodedImage decoded{{}, mode_of(file.png, file.info)};
  if (!request_8_bit(file)) return damaged(file);

  Image& image = decoded.image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.channels = png_get_channels(file.png, file.info);
  if (png_get_rowbytes(file.png, file.info) != static_cast<size_t>(width) * image.channels) {
    return absl::InvalidArgumentError("PNG file has an unknown pixel layout");
  }
  image.pixels.resize(static_cast<size_t>(width) * height * image.channels);
  std::vector<png_bytep> rows(image.height);
  for (int y = 0; y < image.height; ++y) rows[y] = image.at(0, y);
  if (!read_rows(file, rows.data())) return damaged(file);
  return decoded;
}

Result<std::string> encode_png(const Image& image) {
  const int types[] = {-1, PNG_COLOR_TYPE_GRAY, -1, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  const int type = image.channels >= 1 && image.channels <= 4 ? types[image.channels] : -1;
  const size_t expected = static_cast<size_t>(image.width) * image.height * image.channels;
  if (type < 0 || image.width < 1 || image.height < 1 || image.pixels.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write a PNG of ", image.width, " x ", image.height, " x ",
                                                   image.channels, " from ", image.pixels.size(), " bytes"));
  }
  char error[sizeof(PngFile::error)] = "unknown";
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  std::string bytes;
  const bool written = info != nullptr && write_image(png, info, image, type, &bytes);
  png_destroy_write_struct(&png, &info);
  if (!written) return absl::InternalError(absl::StrCat("writing a PNG failed: ", error));
  return bytes;
}

}  // namespace espalier::image
