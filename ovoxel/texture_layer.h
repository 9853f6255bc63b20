#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "ovoxel/lanes.h"

// Textures of materials as pbr_voxels() samples them; not for other folders. Arithmetic is float32 in the reference's
// operation order.
namespace espalier::ovoxel::internal {

// What the material of a surface point is: base colour and alpha; metallic, roughness and two spare lanes.
struct Appearance {
  Lanes color = all(1), surface = all(1);
};

using Texel = std::array<uint8_t, 4>;

inline Lanes unpacked(const Texel& texel) {
#if defined(__SSE2__)
  int32_t bytes;
  std::memcpy(&bytes, texel.data(), sizeof bytes);
  const __m128i zero = _mm_setzero_si128();
  const __m128i shorts = _mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), zero);
  return _mm_cvtepi32_ps(_mm_unpacklo_epi16(shorts, zero));
#else
  return Lanes{float(texel[0]), float(texel[1]), float(texel[2]), float(texel[3])};
#endif
}

// The six channels of an appearance that come from textures, by position: base colour 0..2, alpha 3, metallic 4,
// roughness 5.
inline constexpr size_t kTextureChannels = 6;

// Where the channels of a layer come from. Layers of equal sources are equal.
struct LayerSource {
  int32_t side = 1;  // texels, a power of two
  mesh::Wrap wrap = mesh::Wrap::kRepeat;
  mesh::Filter filter = mesh::Filter::kLinear;
  std::array<int32_t, kTextureChannels> image{-1, -1, -1, -1, -1, -1};  // in Scene::images; -1: not in this layer
  std::array<int32_t, kTextureChannels> channel{};                      // of that image

  bool has_color() const { return image[0] >= 0 || image[3] >= 0; }
  bool has_surface() const { return image[4] >= 0 || image[5] >= 0; }
  uint64_t texels() const { return (uint64_t{has_color()} + has_surface()) * side * side; }
  auto operator<=>(const LayerSource&) const = default;
};

// Textures of one side, wrap and filter, sampled together, with their mip levels.
class TextureLayer {
 public:
  // INVALID_ARGUMENT: what image::resize() does not take.
  static Result<TextureLayer> make(const LayerSource& source, const std::vector<image::Image>& images);

  // The levels between which a triangle is sampled, and the share of the coarser one.
  struct Detail {
    size_t fine = 0, coarse = 0;
    float fraction = 0;
  };
  // `voxel_in_uv`: side of a voxel in uv units; what is no number counts as small.
  Detail detail(float voxel_in_uv) const;

  // Replaces the channels that this layer has. Texture rows run upwards from v = 1; uv may be anything.
  void sample(const Detail& detail, float u, float v, Appearance& out) const {
    Appearance value = filter_ == mesh::Filter::kNearest ? nearest(u, v) : linear(levels_[detail.fine], u, v);
    if (detail.coarse != detail.fine) {
      const Appearance coarse = linear(levels_[detail.coarse], u, v);
      const Lanes near = all(1 - detail.fraction), far = all(detail.fraction);
      value = {near * value.color + far * coarse.color, near * value.surface + far * coarse.surface};
    }
    out.color = choose(in_color_, value.color, out.color);
    out.surface = choose(in_surface_, value.surface, out.surface);
  }

 private:
  struct Level {
    int32_t side = 1;
    std::vector<Texel> color, surface;  // [side, side], row 0 at the bottom; empty when the layer has no such channel
  };

  explicit TextureLayer(const LayerSource& source);
  static Level halved(const Level& level);

  static int32_t floor_of(float x) {
    const auto whole = static_cast<int32_t>(x);
    return whole - (x < static_cast<float>(whole) ? 1 : 0);
  }
  // Texel coordinates far outside cannot be told apart any more.
  static float bounded(float x) { return std::abs(x) < 0x1p30f ? x : 0.0f; }

  size_t wrapped(int32_t i, int32_t side) const {
    if (wrap_ == mesh::Wrap::kRepeat) return static_cast<size_t>(i & (side - 1));
    if (wrap_ == mesh::Wrap::kClamp) return static_cast<size_t>(i < 0 ? 0 : i >= side ? side - 1 : i);
    const int32_t folded = i & (2 * side - 1);
    return static_cast<size_t>(folded < side ? folded : 2 * side - 1 - folded);
  }

  Appearance nearest(float u, float v) const {
    const Level& level = levels_.front();
    const auto side = static_cast<float>(level.side);
    const size_t at = wrapped(floor_of(bounded((1 - v) * side)), level.side) * static_cast<size_t>(level.side) +
                      wrapped(floor_of(bounded(u * side)), level.side);
    Appearance out;
    if (!level.color.empty()) out.color = unpacked(level.color[at]) / all(255);
    if (!level.surface.empty()) out.surface = unpacked(level.surface[at]) / all(255);
    return out;
  }

  Appearance linear(const Level& level, float u, float v) const {
    const auto side = static_cast<float>(level.side);
    const float x = bounded(u * side), y = bounded((1 - v) * side);
    const int32_t left = floor_of(x - 0.5f), low = floor_of(y - 0.5f);
    const float wx = x - static_cast<float>(left) - 0.5f, wy = y - static_cast<float>(low) - 0.5f;
    const size_t x0 = wrapped(left, level.side), x1 = wrapped(left + 1, level.side);
    const size_t y0 = wrapped(low, level.side) * static_cast<size_t>(level.side);
    const size_t y1 = wrapped(low + 1, level.side) * static_cast<size_t>(level.side);
    const Lanes w00 = all((1 - wx) * (1 - wy)), w10 = all(wx * (1 - wy)), w01 = all((1 - wx) * wy), w11 = all(wx * wy);
    const auto mix = [&](const std::vector<Texel>& texels) {
      return (w00 * unpacked(texels[y0 + x0]) + w10 * unpacked(texels[y0 + x1]) + w01 * unpacked(texels[y1 + x0]) +
              w11 * unpacked(texels[y1 + x1])) /
             all(255);
    };
    Appearance out;
    if (!level.color.empty()) out.color = mix(level.color);
    if (!level.surface.empty()) out.surface = mix(level.surface);
    return out;
  }

  mesh::Wrap wrap_;
  mesh::Filter filter_;
  LaneMask in_color_, in_surface_;
  std::vector<Level> levels_;  // nearest filters have one
};

// The layers of a scene's materials.
struct TextureLayers {
  std::vector<TextureLayer> layers;
  std::vector<std::vector<uint32_t>> of_material;  // [materials] indices into `layers`
};

// For the materials with `used` set. An image that is not a square of a power of two is resized to the nearest one of
// its longer side. When the layers have more than `max_texels` in all, the largest are halved until they fit.
Result<TextureLayers> texture_layers(const mesh::Scene& scene, const std::vector<bool>& used, uint64_t max_texels,
                                     int threads);

}  // namespace espalier::ovoxel::internal
