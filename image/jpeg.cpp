#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE declared first.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "image/format_decoders.h"

namespace espalier::image {
namespace {

constexpr int kMaxScans = 200;  // of a progressive file; each scan costs a pass over the picture
constexpr unsigned kMaxExifBytes = 0xffff;

struct ErrorSink {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
  bool cut_short;  // pixels are missing
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* sink = reinterpret_cast<ErrorSink*>(info->err);
  sink->base.format_message(info, sink->text);
  longjmp(sink->jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  auto* sink = reinterpret_cast<ErrorSink*>(info->err);
  if (info->err->msg_code == JWRN_JPEG_EOF || info->err->msg_code == JWRN_HIT_MARKER) sink->cut_short = true;
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* sink = reinterpret_cast<ErrorSink*>(info->err);
  std::snprintf(sink->text, sizeof(sink->text), "more than %d scans", kMaxScans);
  longjmp(sink->jump, 1);
}

// libjpeg reports errors by longjmp: functions that call setjmp hold no object with a destructor.
struct JpegFile {
  JpegFile() {
    std::memset(&info, 0, sizeof(info));
    std::memset(&sink, 0, sizeof(sink));
    std::memset(&progress, 0, sizeof(progress));
    info.err = jpeg_std_error(&sink.base);
    sink.base.error_exit = on_error;
    sink.base.emit_message = on_message;
    progress.progress_monitor = on_progress;
  }
  ~JpegFile() { jpeg_destroy_decompress(&info); }
  JpegFile(const JpegFile&) = delete;
  JpegFile& operator=(const JpegFile&) = delete;

  jpeg_decompress_struct info;
  ErrorSink sink;
  jpeg_progress_mgr progress;
};

bool read_header(JpegFile& file, const unsigned char* data, unsigned long size) {
  if (setjmp(file.sink.jump) != 0) return false;
  jpeg_create_decompress(&file.info);
  file.info.progress = &file.progress;
  jpeg_mem_src(&file.info, data, size);
  jpeg_save_markers(&file.info, JPEG_APP0 + 1, kMaxExifBytes);
  jpeg_read_header(&file.info, TRUE);
  return true;
}

bool read_pixels(JpegFile& file, uint8_t* pixels, size_t row_bytes) {
  if (setjmp(file.sink.jump) != 0) return false;
  jpeg_start_decompress(&file.info);
  while (file.info.output_scanline < file.info.output_height) {
    JSAMPROW row = pixels + file.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&file.info, &row, 1);
  }
  jpeg_finish_decompress(&file.info);
  return true;
}

// Reads the numbers of an EXIF block, which is a small TIFF file in either byte order.
class TiffView {
 public:
  TiffView(const uint8_t* data, size_t size, bool little) : data_(data), size_(size), little_(little) {}
  std::optional<uint32_t> u16(size_t at) const {
    if (at + 2 > size_) return std::nullopt;
    return little_ ? data_[at] | data_[at + 1] << 8 : data_[at] << 8 | data_[at + 1];
  }
  std::optional<uint32_t> u32(size_t at) const {
    const auto first = u16(at), second = u16(at + 2);
    if (!first || !second) return std::nullopt;
    return little_ ? *first | *second << 16 : *first << 16 | *second;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  bool little_;
};

constexpr uint32_t kOrientationTag = 0x0112;

// 1..8, 1 when the block says nothing valid.
int exif_orientation(const uint8_t* data, size_t size) {
  if (size < 14 || std::memcmp(data, "Exif\0\0", 6) != 0) return 1;
  const TiffView tiff(data + 6, size - 6, data[6] == 'I');
  const auto directory = tiff.u32(4);
  if (!directory || *directory > size) return 1;
  const auto entries = tiff.u16(*directory);
  for (uint32_t i = 0; entries && i < *entries; ++i) {
    const size_t entry = *directory + 2 + size_t{12} * i;
    const auto tag = tiff.u16(entry), value = tiff.u16(entry + 8);
    if (!tag || !value) return 1;
    if (*tag == kOrientationTag) return *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return 1;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (auto* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const int found = exif_orientation(marker->data, marker->data_length);
    if (found != 1) return found;
  }
  return 1;
}

// Turns and mirrors the stored picture so that it stands upright.
Image upright(const Image& stored, int orientation) {
  const bool transposed = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out{transposed ? stored.height : stored.width, transposed ? stored.width : stored.height, stored.channels, {}};
  out.pixels.resize(stored.pixels.size());
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int source_x = transposed ? y : x, source_y = transposed ? x : y;
      if (flip_x) source_x = stored.width - 1 - source_x;
      if (flip_y) source_y = stored.height - 1 - source_y;
      std::memcpy(out.at(x, y), stored.at(source_x, source_y), stored.channels);
    }
  }
  return out;
}

uint8_t multiply_255(int a, int b) {
  const int t = a * b + 128;
  return static_cast<uint8_t>(((t >> 8) + t) >> 8);
}

// Files written by Adobe programs store CMYK inverted. Reference: Pillow src/libImaging/Convert.c, cmyk2rgb.
Image cmyk_to_rgb(const Image& cmyk, bool inverted) {
  Image rgb{cmyk.width, cmyk.height, 3, {}};
  rgb.pixels.resize(static_cast<size_t>(rgb.width) * rgb.height * 3);
  const uint8_t mask = inverted ? 255 : 0;
  for (size_t i = 0; i < rgb.pixels.size() / 3; ++i) {
    const uint8_t* from = cmyk.pixels.data() + 4 * i;
    const int light = 255 - (from[3] ^ mask);
    for (int c = 0; c < 3; ++c) {
      rgb.pixels[3 * i + c] = static_cast<uint8_t>(light - multiply_255(from[c] ^ mask, light));
    }
  }
  return rgb;
}

Status damaged(const JpegFile& file) {
  return absl::InvalidArgumentError(absl::StrCat("JPEG file is damaged: ", file.sink.text));
}

// Chooses the output colours; libjpeg converts to grey and RGB, and leaves CMYK to us.
ColorMode choose_output(jpeg_decompress_struct& info) {
  switch (info.jpeg_color_space) {
    case JCS_GRAYSCALE:
      info.out_color_space = JCS_GRAYSCALE;
      return ColorMode::kGray;
    case JCS_CMYK:
    case JCS_YCCK:
      info.out_color_space = JCS_CMYK;
      return ColorMode::kCmyk;
    default:
      info.out_color_space = JCS_RGB;
      return ColorMode::kRgb;
  }
}

}  // namespace

Result<DecodedImage> decode_jpeg(std::string_view bytes, const DecodeLimits& limits) {
  JpegFile file;
  if (!read_header(file, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size())) return damaged(file);
  ESP_TRY(check_size(file.info.image_width, file.info.image_height, limits));
  const int orientation = orientation_of(file.info);  // the markers are gone once the pixels are read
  const ColorMode mode = choose_output(file.info);
  const int channels = mode == ColorMode::kGray ? 1 : mode == ColorMode::kCmyk ? 4 : 3;
  Image image{static_cast<int>(file.info.image_width), static_cast<int>(file.info.image_height), channels, {}};
  const size_t row_bytes = static_cast<size_t>(image.width) * channels;
  image.pixels.resize(row_bytes * image.height);
  if (!read_pixels(file, image.pixels.data(), row_bytes)) return damaged(file);
  if (file.sink.cut_short) return absl::InvalidArgumentError("JPEG file is damaged: the file ends early");
  if (mode == ColorMode::kCmyk) image = cmyk_to_rgb(image, file.info.saw_Adobe_marker != 0);
  return DecodedImage{orientation == 1 ? std::move(image) : upright(image, orientation), mode};
}

}  // namespace espalier::image
