#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/encode.h"

namespace espalier::image {
namespace {

constexpr int kMethod = 2;  // of 0..6: half the time of the usual 4 for 2 % more bytes

// What libwebp works on, filled with an image.
struct Picture {
  WebPPicture it;
  bool valid;

  explicit Picture(const Image& image) {
    valid = WebPPictureInit(&it) != 0;
    it.use_argb = 1;
    it.width = image.width;
    it.height = image.height;
    const int stride = image.width * image.channels;
    valid = valid && (image.channels == 4 ? WebPPictureImportRGBA(&it, image.pixels.data(), stride)
                                          : WebPPictureImportRGB(&it, image.pixels.data(), stride)) != 0;
  }
  ~Picture() { WebPPictureFree(&it); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
};

bool configure(WebPConfig& config, int quality) {
  if (WebPConfigInit(&config) == 0) return false;
  config.quality = static_cast<float>(quality);
  config.method = kMethod;
  config.exact = 1;  // keeps what is under alpha 0: filters mix it in
  config.thread_level = 1;
  return true;
}

Status check(const Image& image, int quality) { return check_encodable(image, "WebP", WEBP_MAX_DIMENSION, 3, quality); }

Status failed(int code) { return absl::InternalError(absl::StrCat("writing a WebP failed: libwebp error ", code)); }

Status check_frames(const std::vector<Image>& frames, int milliseconds, int quality) {
  if (frames.empty()) return absl::InvalidArgumentError("an animation needs frames");
  if (milliseconds < 1 || milliseconds > 60'000) {
    return absl::InvalidArgumentError(absl::StrCat("a frame of ", milliseconds, " ms; 1..60000 are possible"));
  }
  for (const Image& frame : frames) {
    ESP_TRY(check(frame, quality));
    if (frame.width != frames[0].width || frame.height != frames[0].height) {
      return absl::InvalidArgumentError("the frames of an animation must be of one size");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Result<std::string> encode_webp(const Image& image, int quality) {
  ESP_TRY(check(image, quality));
  WebPConfig config;
  Picture picture(image);
  if (!configure(config, quality) || !picture.valid) return failed(picture.it.error_code);
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  picture.it.writer = WebPMemoryWrite;
  picture.it.custom_ptr = &writer;
  const bool written = WebPEncode(&config, &picture.it) != 0;
  std::string bytes(reinterpret_cast<const char*>(writer.mem), written ? writer.size : 0);
  WebPMemoryWriterClear(&writer);
  if (!written) return failed(picture.it.error_code);
  return bytes;
}

Result<std::string> encode_webp_animation(const std::vector<Image>& frames, int milliseconds, int quality) {
  ESP_TRY(check_frames(frames, milliseconds, quality));
  WebPAnimEncoderOptions options;
  WebPConfig config;
  if (WebPAnimEncoderOptionsInit(&options) == 0 || !configure(config, quality)) return failed(0);
  const std::unique_ptr<WebPAnimEncoder, decltype(&WebPAnimEncoderDelete)> encoder(
      WebPAnimEncoderNew(frames[0].width, frames[0].height, &options), WebPAnimEncoderDelete);
  if (encoder == nullptr) return failed(0);
  int time = 0;
  for (const Image& frame : frames) {
    Picture picture(frame);
    if (!picture.valid || WebPAnimEncoderAdd(encoder.get(), &picture.it, time, &config) == 0) {
      return failed(picture.it.error_code);
    }
    time += milliseconds;
  }
  WebPData data;
  WebPDataInit(&data);
  const bool written = WebPAnimEncoderAdd(encoder.get(), nullptr, time, nullptr) != 0 &&
                       WebPAnimEncoderAssemble(encoder.get(), &data) != 0;
  std::string bytes(reinterpret_cast<const char*>(data.bytes), written ? data.size : 0);
  WebPDataClear(&data);
  if (!written)
    return absl::InternalError(absl::StrCat("writing a WebP failed: ", WebPAnimEncoderGetError(encoder.get())));
  return bytes;
}

}  // namespace espalier::image
