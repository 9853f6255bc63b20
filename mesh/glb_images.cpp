#include "mesh/glb_images.h"

#include "common/parallel.h"
#include "image/codec.h"

namespace espalier::mesh::internal {
namespace {

TextureFormat format_of(const EmbeddedImage& image, TextureFormat wanted) {
  if (wanted == TextureFormat::kJpeg && image.alpha && image.pixels->channels == 4) return TextureFormat::kPng;
  if (wanted == TextureFormat::kWebp && image.pixels->channels == 1) return TextureFormat::kPng;
  return wanted;
}

Result<ImageFile> encoded(const EmbeddedImage& image, const GlbOptions& options) {
  const TextureFormat format = format_of(image, options.texture_format);
  switch (format) {
    case TextureFormat::kJpeg: {
      ESP_ASSIGN(std::string bytes, image::encode_jpeg(*image.pixels, options.texture_quality));
      return ImageFile{format, "image/jpeg", std::move(bytes)};
    }
    case TextureFormat::kWebp: {
      ESP_ASSIGN(std::string bytes, image::encode_webp(*image.pixels, options.texture_quality));
      return ImageFile{format, "image/webp", std::move(bytes)};
    }
    case TextureFormat::kPng:
      break;
  }
  ESP_ASSIGN(std::string bytes, image::encode_png(*image.pixels));
  return ImageFile{format, "image/png", std::move(bytes)};
}

}  // namespace

Result<std::vector<ImageFile>> encode_images(std::span<const EmbeddedImage> images, const GlbOptions& options) {
  std::vector<Result<ImageFile>> results(images.size());
  parallel_for(images.size(), worker_count(options.threads, images.size()),
               [&](size_t i, int) { results[i] = encoded(images[i], options); });
  std::vector<ImageFile> out;
  for (auto& result : results) {
    ESP_TRY(result.status());
    out.push_back(*std::move(result));
  }
  return out;
}

}  // namespace espalier::mesh::internal
