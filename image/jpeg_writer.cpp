#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE declared first.
#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/encode.h"

namespace espalier::image {
namespace {

constexpr int kMaxJpegSide = 65535;

struct WriteErrorSink {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_write_error(j_common_ptr info) {
  auto* sink = reinterpret_cast<WriteErrorSink*>(info->err);
  sink->base.format_message(info, sink->text);
  longjmp(sink->jump, 1);
}

struct JpegWriter {
  JpegWriter() {
    info.err = jpeg_std_error(&sink.base);
    sink.base.error_exit = on_write_error;
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  jpeg_compress_struct info{};
  WriteErrorSink sink{};
  unsigned char* bytes = nullptr;  // of malloc
  unsigned long size = 0;
};

// libjpeg reports errors by longjmp: no object with a destructor lives here. `row` is scratch for width * 3 bytes.
bool write_pixels(JpegWriter& writer, const Image& image, int quality, uint8_t* row) {
  if (setjmp(writer.sink.jump) != 0) return false;
  jpeg_create_compress(&writer.info);
  jpeg_mem_dest(&writer.info, &writer.bytes, &writer.size);
  writer.info.image_width = static_cast<JDIMENSION>(image.width);
  writer.info.image_height = static_cast<JDIMENSION>(image.height);
  writer.info.input_components = image.channels == 1 ? 1 : 3;
  writer.info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&writer.info);
  jpeg_set_quality(&writer.info, quality, TRUE);
  jpeg_start_compress(&writer.info, TRUE);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < writer.info.input_components; ++c) {
        row[x * writer.info.input_components + c] = image.at(x, y)[c];
      }
    }
    jpeg_write_scanlines(&writer.info, &row, 1);
  }
  jpeg_finish_compress(&writer.info);
  return true;
}

}  // namespace

Result<std::string> encode_jpeg(const Image& image, int quality) {
  ESP_TRY(check_encodable(image, "JPEG", kMaxJpegSide, 1, quality));
  std::vector<uint8_t> row(static_cast<size_t>(image.width) * 3);
  JpegWriter writer;
  if (!write_pixels(writer, image, quality, row.data())) {
    return absl::InternalError(absl::StrCat("writing a JPEG failed: ", writer.sink.text));
  }
  return std::string(reinterpret_cast<const char*>(writer.bytes), writer.size);
}

}  // namespace espalier::image
