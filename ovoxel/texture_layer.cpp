#include "ovoxel/texture_layer.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "common/parallel.h"
#include "image/resample.h"

namespace espalier::ovoxel::internal {
namespace {

using image::Image;

constexpr size_t kAlpha = 3, kMetallic = 4, kRoughness = 5;
constexpr int32_t kMaxSide = 65536;  // texels, what image::resize() takes

// The nearest power of two, the larger of two that are equally near.
int32_t nearest_power_of_two(int32_t n) {
  const auto lower = std::bit_floor(static_cast<uint32_t>(n));
  const uint32_t upper = lower * 2, size = static_cast<uint32_t>(n);
  return static_cast<int32_t>(size == lower || size - lower < upper - size ? lower : upper);
}

// Channels `first`.. of an image as an image of their own, rows upwards. Missing channels repeat the last one, which
// makes colours of grey images.
Image channels_of(const Image& source, int first, int count) {
  Image out{source.width, source.height, count, {}};
  out.pixels.resize(static_cast<size_t>(out.width) * static_cast<size_t>(out.height) * static_cast<size_t>(count));
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = source.at(0, y);
    uint8_t* to = out.at(0, out.height - 1 - y);
    for (int x = 0; x < out.width; ++x, from += source.channels, to += count) {
      for (int c = 0; c < count; ++c) to[c] = from[std::min(first + c, source.channels - 1)];
    }
  }
  return out;
}

// Writes channels of an image into the bytes `byte`.. of texels.
Status fill(const Image& image, int channel, int count, size_t byte, int32_t side, std::vector<Texel>& texels) {
  Image plane = channels_of(image, channel, count);
  if (plane.width != side || plane.height != side) {
    ESP_ASSIGN(plane, image::resize(plane, side, side, image::Filter::kLanczos));
  }
  for (size_t i = 0; i < texels.size(); ++i) {
    for (size_t c = 0; c < static_cast<size_t>(count); ++c) {
      texels[i][byte + c] = plane.pixels[i * static_cast<size_t>(count) + c];
    }
  }
  return absl::OkStatus();
}

std::vector<Texel> box_filtered(const std::vector<Texel>& texels, size_t side) {
  std::vector<Texel> out(texels.size() / 4);
  if (out.empty()) return out;  // the layer has no such channels
  for (size_t y = 0; y < side / 2; ++y) {
    const Texel* row = texels.data() + 2 * y * side;
    for (size_t x = 0; x < side / 2; ++x) {
      for (size_t c = 0; c < 4; ++c) {
        const int sum = row[2 * x][c] + row[2 * x + 1][c] + row[2 * x + side][c] + row[2 * x + side + 1][c];
        out[y * (side / 2) + x][c] = static_cast<uint8_t>(sum / 4);
      }
    }
  }
  return out;
}

// Adds a texture to the layer of its kind among those of one material.
void add(const std::optional<mesh::Texture>& texture, size_t position, size_t count, const mesh::Scene& scene,
         std::vector<LayerSource>& layers) {
  if (!texture) return;
  const Image& image = scene.images[static_cast<size_t>(texture->image)];
  LayerSource kind;
  kind.side = nearest_power_of_two(std::min(std::max(image.width, image.height), kMaxSide));
  kind.wrap = texture->wrap_u == texture->wrap_v ? texture->wrap_u : mesh::Wrap::kClamp;  // as the reference reads it
  kind.filter = texture->filter;
  const auto same = [&](const LayerSource& l) {
    return l.side == kind.side && l.wrap == kind.wrap && l.filter == kind.filter;
  };
  auto found = std::find_if(layers.begin(), layers.end(), same);
  if (found == layers.end()) found = layers.insert(found, kind);
  for (size_t c = position; c < position + count; ++c) {
    found->image[c] = texture->image;
    found->channel[c] = texture->channel;
  }
}

std::vector<LayerSource> sources_of(const mesh::Material& material, const mesh::Scene& scene) {
  std::vector<LayerSource> out;
  add(material.base_color_texture, 0, 3, scene, out);
  add(material.alpha_texture, kAlpha, 1, scene, out);
  add(material.metallic_texture, kMetallic, 1, scene, out);
  add(material.roughness_texture, kRoughness, 1, scene, out);
  return out;
}

void fit(uint64_t max_texels, std::vector<LayerSource>& sources) {
  while (true) {
    uint64_t texels = 0;
    int32_t largest = 1;
    for (const LayerSource& source : sources) {
      texels += source.texels();
      largest = std::max(largest, source.side);
    }
    if (texels <= max_texels || largest == 1) return;
    for (LayerSource& source : sources) {
      if (source.side == largest) source.side /= 2;
    }
  }
}

}  // namespace

TextureLayer::TextureLayer(const LayerSource& source) : wrap_(source.wrap), filter_(source.filter) {
  for (size_t c = 0; c < kLanes; ++c) {
    in_color_[c] = source.image[c] >= 0 ? -1 : 0;
    in_surface_[c] = c + kLanes < kTextureChannels && source.image[c + kLanes] >= 0 ? -1 : 0;
  }
}

TextureLayer::Level TextureLayer::halved(const Level& level) {
  const auto side = static_cast<size_t>(level.side);
  return {level.side / 2, box_filtered(level.color, side), box_filtered(level.surface, side)};
}

Result<TextureLayer> TextureLayer::make(const LayerSource& source, const std::vector<Image>& images) {
  TextureLayer out(source);
  Level& level = out.levels_.emplace_back();
  level.side = source.side;
  const auto texels = static_cast<size_t>(source.side) * static_cast<size_t>(source.side);
  if (source.has_color()) level.color.resize(texels);
  if (source.has_surface()) level.surface.resize(texels);
  for (const size_t c : {size_t{0}, kAlpha, kMetallic, kRoughness}) {
    if (source.image[c] < 0) continue;
    auto& plane = c < kLanes ? level.color : level.surface;
    ESP_TRY(fill(images[static_cast<size_t>(source.image[c])], source.channel[c], c == 0 ? 3 : 1, c % kLanes,
                 source.side, plane));
  }
  if (source.filter == mesh::Filter::kNearest) return out;
  while (out.levels_.back().side > 1) out.levels_.push_back(halved(out.levels_.back()));
  return out;
}

TextureLayer::Detail TextureLayer::detail(float voxel_in_uv) const {
  const float level = std::log2(voxel_in_uv * static_cast<float>(levels_.front().side));
  if (!std::isfinite(level) || level <= 0) return {};
  const size_t last = levels_.size() - 1;
  if (level >= static_cast<float>(last)) return {last, last, 0};
  const auto fine = static_cast<size_t>(level);
  return {fine, fine + 1, level - static_cast<float>(fine)};
}

Result<TextureLayers> texture_layers(const mesh::Scene& scene, const std::vector<bool>& used, uint64_t max_texels,
                                     int threads) {
  TextureLayers out;
  out.of_material.resize(scene.materials.size());
  std::vector<LayerSource> sources;
  std::map<LayerSource, uint32_t> known;
  for (size_t m = 0; m < scene.materials.size(); ++m) {
    if (!used[m]) continue;
    for (const LayerSource& source : sources_of(scene.materials[m], scene)) {
      const auto [at, added] = known.try_emplace(source, static_cast<uint32_t>(sources.size()));
      if (added) sources.push_back(source);
      out.of_material[m].push_back(at->second);
    }
  }
  fit(max_texels, sources);
  std::vector<Result<TextureLayer>> made(sources.size(), absl::UnknownError("not made"));
  parallel_for(sources.size(), worker_count(threads, sources.size()),
               [&](size_t i, int) { made[i] = TextureLayer::make(sources[i], scene.images); });
  for (auto& layer : made) {
    ESP_ASSIGN(TextureLayer done, std::move(layer));
    out.layers.push_back(std::move(done));
  }
  return out;
}

}  // namespace espalier::ovoxel::internal
