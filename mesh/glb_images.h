#pragma once

#include <span>
#include <string>
#include <vector>

#include "mesh/glb_writer.h"

// The images inside a GLB file; not for other folders.
namespace espalier::mesh::internal {

struct EmbeddedImage {
  const image::Image* pixels;
  bool alpha = false;  // its fourth channel is seen
};

struct ImageFile {
  TextureFormat format;
  const char* mime_type;
  std::string bytes;
};

// In the wanted format where it can hold the image, else as PNG: JPEG has no alpha, and WebP no images of one channel.
Result<std::vector<ImageFile>> encode_images(std::span<const EmbeddedImage> images, const GlbOptions& options);

}  // namespace espalier::mesh::internal
