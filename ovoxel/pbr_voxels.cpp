#include "ovoxel/pbr_voxels.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "common/parallel.h"
#include "ovoxel/scan.h"
#include "ovoxel/texture_layer.h"

namespace espalier::ovoxel {
namespace {

using Eigen::Vector2f;
using Eigen::Vector3f;
using internal::all;
using internal::Appearance;
using internal::Hit;
using internal::Lanes;
using internal::Slab;
using internal::SlabTable;
using internal::TextureLayer;

constexpr double kSmallestUvArea = 1e-6;  // twice the area below which a triangle has no mip level
constexpr float kLeastWeight = 1e-6f;     // of samples that no other should lose to
constexpr size_t kAlphaLane = 3;          // of Appearance::color
constexpr size_t kWeightLane = 3;         // of Appearance::surface

// The triangles of a scene with what shading needs.
struct Soup {
  std::vector<mesh::Vec3> positions;      // [N] relative to the grid
  std::vector<mesh::Vec2> uvs;            // [N]
  std::vector<mesh::Vec4> colors;         // [N] or empty
  std::vector<mesh::Triangle> triangles;  // [F]
  std::vector<uint32_t> materials;        // [F] index into shades

  Soup(const mesh::Scene& scene, const Grid& grid);
};

Soup::Soup(const mesh::Scene& scene, const Grid& grid) {
  const bool colored =
      std::any_of(scene.meshes.begin(), scene.meshes.end(), [](const mesh::Mesh& m) { return !m.colors.empty(); });
  for (const mesh::Mesh& mesh : scene.meshes) {
    const auto base = static_cast<uint32_t>(positions.size());
    positions.insert(positions.end(), mesh.positions.begin(), mesh.positions.end());
    uvs.insert(uvs.end(), mesh.uvs.begin(), mesh.uvs.end());
    uvs.resize(positions.size(), {0, 1});  // the reference's origin: the bottom left corner
    colors.insert(colors.end(), mesh.colors.begin(), mesh.colors.end());
    if (colored) colors.resize(positions.size(), {1, 1, 1, 1});
    for (const mesh::Triangle& t : mesh.triangles) triangles.push_back({base + t[0], base + t[1], base + t[2]});
    for (const int32_t id : mesh.material_ids) {
      materials.push_back(id < 0 ? static_cast<uint32_t>(scene.materials.size()) : static_cast<uint32_t>(id));
    }
  }
  positions = internal::relative_positions(positions, grid);
}

// A material as it is applied to samples.
struct Shade {
  Appearance factor;
  mesh::AlphaMode alpha_mode = mesh::AlphaMode::kOpaque;
  float alpha_cutoff = 0;
  std::vector<const TextureLayer*> layers;
};

Shade shade_of(const mesh::Material& material) {
  Shade out;
  out.alpha_mode = material.alpha_mode;
  if (material.alpha_texture && out.alpha_mode == mesh::AlphaMode::kOpaque) out.alpha_mode = mesh::AlphaMode::kBlend;
  out.alpha_cutoff = material.alpha_cutoff;
  const float alpha = out.alpha_mode == mesh::AlphaMode::kOpaque ? 1.0f : material.alpha;
  out.factor.color = Lanes{material.base_color[0], material.base_color[1], material.base_color[2], alpha};
  out.factor.surface = Lanes{material.metallic, material.roughness, 0, 1};
  return out;
}

// One per material and one for faces without.
std::vector<Shade> shades_of(const mesh::Scene& scene, const internal::TextureLayers& textures) {
  std::vector<Shade> out;
  for (size_t m = 0; m < scene.materials.size(); ++m) {
    out.push_back(shade_of(scene.materials[m]));
    for (const uint32_t layer : textures.of_material[m]) out.back().layers.push_back(&textures.layers[layer]);
  }
  out.push_back(shade_of(mesh::default_material()));
  return out;
}

// A triangle being sampled.
class Facet {
 public:
  Facet(const Soup& soup, uint32_t triangle, const Shade& shade, const Vector3f& voxel_size);

  // The sample at a voxel's centre times its weight, which is in kWeightLane.
  Appearance weighted_sample(const Voxel& voxel) const {
    const Vector3f center((static_cast<float>(voxel[0]) + 0.5f) * h_[0], (static_cast<float>(voxel[1]) + 0.5f) * h_[1],
                          (static_cast<float>(voxel[2]) + 0.5f) * h_[2]);
    const Point point = projected(center);
    Appearance out = sample(point.share);
    out.color *= all(point.weight);
    out.surface *= all(point.weight);
    return out;
  }

 private:
  struct Point {
    Vector3f share;  // barycentric; outside the triangle components are negative
    float weight;
  };

  Point projected(const Vector3f& center) const;
  Appearance sample(const Vector3f& share) const;
  Lanes vertex_color(const Vector3f& share) const;
  float voxel_in_uv() const;

  const Shade& shade_;
  const Vector3f h_;
  Vector3f corner_, e1_, e2_, normal_;
  float d00_, d01_, d11_, denominator_;
  std::array<Vector2f, 3> uv_;
  std::array<Lanes, 3> colors_{};
  bool colored_;
  std::array<TextureLayer::Detail, internal::kTextureChannels> details_{};  // by shade_.layers
};

Facet::Facet(const Soup& soup, uint32_t triangle, const Shade& shade, const Vector3f& voxel_size)
    : shade_(shade), h_(voxel_size), colored_(!soup.colors.empty()) {
  const mesh::Triangle& t = soup.triangles[triangle];
  corner_ = Vector3f(soup.positions[t[0]].data());
  e1_ = Vector3f(soup.positions[t[1]].data()) - corner_;
  e2_ = Vector3f(soup.positions[t[2]].data()) - corner_;
  normal_ = e1_.cross(e2_).normalized();
  d00_ = e1_.dot(e1_);
  d01_ = e1_.dot(e2_);
  d11_ = e2_.dot(e2_);
  denominator_ = d00_ * d11_ - d01_ * d01_;
  for (size_t k = 0; k < 3; ++k) {
    uv_[k] = Vector2f(soup.uvs[t[k]].data());
    if (!colored_) continue;
    const mesh::Vec4& c = soup.colors[t[k]];
    colors_[k] = Lanes{c[0], c[1], c[2], c[3]};
  }
  if (shade_.layers.empty()) return;
  const float length = voxel_in_uv();
  for (size_t i = 0; i < shade_.layers.size(); ++i) details_[i] = shade_.layers[i]->detail(length);
}

// Side of a voxel in uv units: the geometric mean of both directions.
float Facet::voxel_in_uv() const {
  const Vector2f du1 = uv_[1] - uv_[0], du2 = uv_[2] - uv_[0];
  const float area = du1.x() * du2.y() - du1.y() * du2.x();
  float along_u = 1e6f, along_v = 1e6f;
  if (!(std::abs(area) < kSmallestUvArea)) {
    const Vector3f t = du2.y() * e1_ - du1.y() * e2_, b = du1.x() * e2_ - du2.x() * e1_;
    const float inverse = 1.0f / area;
    along_u = inverse * t.norm();
    along_v = inverse * b.norm();
  }
  return h_.maxCoeff() / std::sqrt(along_u * along_v);
}

Facet::Point Facet::projected(const Vector3f& center) const {
  const float distance = (center - corner_).dot(normal_);
  const Vector3f on_plane = (center - distance * normal_) - corner_;
  const float d20 = on_plane.dot(e1_), d21 = on_plane.dot(e2_);
  const float v = (d11_ * d20 - d01_ * d21) / denominator_;
  const float w = (d00_ * d21 - d01_ * d20) / denominator_;
  if (normal_.isZero(0) || !std::isfinite(v) || !std::isfinite(w)) return {Vector3f::Constant(1.0f / 3), kLeastWeight};
  const float weight = 1 - distance;
  return {{1.0f - v - w, v, w}, weight > kLeastWeight ? weight : kLeastWeight};
}

Lanes Facet::vertex_color(const Vector3f& share) const {
  Lanes out = all(share[0]) * colors_[0] + all(share[1]) * colors_[1] + all(share[2]) * colors_[2];
  out = internal::choose(out > all(0), out, all(0));  // beyond the corners, and what is no number
  return internal::choose(out < all(1), out, all(1));
}

Appearance Facet::sample(const Vector3f& share) const {
  Appearance out;
  const float u = share[0] * uv_[0].x() + share[1] * uv_[1].x() + share[2] * uv_[2].x();
  const float v = share[0] * uv_[0].y() + share[1] * uv_[1].y() + share[2] * uv_[2].y();
  for (size_t i = 0; i < shade_.layers.size(); ++i) shade_.layers[i]->sample(details_[i], u, v, out);
  out.color *= shade_.factor.color;
  out.surface *= shade_.factor.surface;
  if (colored_) out.color *= vertex_color(share);
  if (shade_.alpha_mode == mesh::AlphaMode::kOpaque) out.color[kAlphaLane] = 1;
  if (shade_.alpha_mode == mesh::AlphaMode::kMask) {
    out.color[kAlphaLane] = out.color[kAlphaLane] < shade_.alpha_cutoff ? 0.0f : 1.0f;
  }
  return out;
}

uint8_t byte_of(float x) {
  const float scaled = x * 255;
  if (!(scaled > 0)) return 0;
  return scaled >= 255 ? 255 : static_cast<uint8_t>(scaled);
}

VoxelTable empty_table() {
  return {{}, {{"base_color", 3, {}}, {"metallic", 1, {}}, {"roughness", 1, {}}, {"alpha", 1, {}}}};
}

// Converts one slab after another; owns the memory they share.
class SlabShader {
 public:
  SlabShader(const Soup& soup, const std::vector<Shade>& shades, const Grid& grid)
      : soup_(soup), shades_(shades), grid_(grid), table_(grid), h_(grid.voxel_size.data()) {}

  VoxelTable convert(const Slab& slab, const std::vector<uint32_t>& triangles);

  // Called by the scan.
  void operator()(const Hit& hit) {
    for_each_voxel(hit, table_.slab(), [this](const Voxel& voxel, int) {
      const uint32_t index = table_.insert(voxel[0], voxel[1], voxel[2]);
      if (index == sums_.size()) {
        sums_.push_back({all(0), all(0)});
        touched_by_.push_back(SlabTable::kNone);
      }
      if (touched_by_[index] == triangle_) return;
      touched_by_[index] = triangle_;
      touched_.push_back({voxel, index});
    });
  }

 private:
  struct Touched {
    Voxel voxel;
    uint32_t index;
  };

  void add_samples();
  VoxelTable means() const;

  const Soup& soup_;
  const std::vector<Shade>& shades_;
  const Grid& grid_;
  SlabTable table_;
  const Vector3f h_;
  uint32_t triangle_ = 0;             // being scanned
  std::vector<Touched> touched_;      // by it
  std::vector<Appearance> sums_;      // by index of table_
  std::vector<uint32_t> touched_by_;  // likewise: the last triangle
};

void SlabShader::add_samples() {
  const Facet facet(soup_, triangle_, shades_[soup_.materials[triangle_]], h_);
  for (const Touched& t : touched_) {
    const Appearance sample = facet.weighted_sample(t.voxel);
    sums_[t.index].color += sample.color;
    sums_[t.index].surface += sample.surface;
  }
}

VoxelTable SlabShader::means() const {
  VoxelTable out = empty_table();
  out.voxels.reserve(sums_.size());
  for (VoxelAttribute& a : out.attributes) a.values.reserve(sums_.size() * a.channels);
  table_.for_each_sorted([&](const Voxel& voxel, uint32_t index) {
    const Lanes weight = all(sums_[index].surface[kWeightLane]);
    const Lanes color = sums_[index].color / weight, surface = sums_[index].surface / weight;
    out.voxels.push_back(voxel);
    for (size_t c = 0; c < 3; ++c) out.attributes[0].values.push_back(byte_of(color[c]));
    out.attributes[1].values.push_back(byte_of(surface[0]));
    out.attributes[2].values.push_back(byte_of(surface[1]));
    out.attributes[3].values.push_back(byte_of(color[kAlphaLane]));
  });
  return out;
}

VoxelTable SlabShader::convert(const Slab& slab, const std::vector<uint32_t>& triangles) {
  table_.start(slab);
  sums_.clear();
  touched_by_.clear();
  internal::TriangleScan<SlabShader> scan(grid_, slab, *this);
  for (const uint32_t t : triangles) {
    const mesh::Triangle& corners = soup_.triangles[t];
    triangle_ = t;
    touched_.clear();
    scan({soup_.positions[corners[0]], soup_.positions[corners[1]], soup_.positions[corners[2]]});
    if (!touched_.empty()) add_samples();
  }
  return means();
}

VoxelTable joined(const std::vector<VoxelTable>& parts) {
  VoxelTable out = empty_table();
  size_t total = 0;
  for (const VoxelTable& part : parts) total += part.voxels.size();
  out.voxels.reserve(total);
  for (const VoxelTable& part : parts) out.voxels.insert(out.voxels.end(), part.voxels.begin(), part.voxels.end());
  for (size_t a = 0; a < out.attributes.size(); ++a) {
    auto& values = out.attributes[a].values;
    values.reserve(total * out.attributes[a].channels);
    for (const VoxelTable& part : parts) {
      const auto& more = part.attributes[a].values;
      values.insert(values.end(), more.begin(), more.end());
    }
  }
  return out;
}

}  // namespace

Result<VoxelTable> pbr_voxels(const mesh::Scene& scene, int32_t resolution, const PbrVoxelOptions& options) {
  ESP_TRY(mesh::validate(scene));
  if (resolution < 1 || resolution > internal::kMaxGridSize) {
    return absl::InvalidArgumentError("resolution must be in 1..2048");
  }
  const Grid grid = Grid::cube(resolution);
  const Soup soup(scene, grid);
  std::vector<bool> used(scene.materials.size() + 1);
  for (const uint32_t material : soup.materials) used[material] = true;
  ESP_ASSIGN(const auto textures, internal::texture_layers(scene, used, options.max_texels, options.threads));
  const std::vector<Shade> shades = shades_of(scene, textures);
  const internal::Partition parts = internal::partition(soup.positions, soup.triangles, grid);
  const int workers = worker_count(options.threads, parts.slabs.size());
  std::vector<SlabShader> shaders(static_cast<size_t>(workers), SlabShader(soup, shades, grid));
  std::vector<VoxelTable> found(parts.slabs.size());
  parallel_for(parts.slabs.size(), workers, [&](size_t s, int worker) {
    found[s] = shaders[static_cast<size_t>(worker)].convert(parts.slabs[s], parts.triangles[s]);
  });
  return joined(found);
}

}  // namespace espalier::ovoxel
