#include "bake/bake.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "bake/charts.h"
#include "bake/pack.h"
#include "bake/textures.h"
#include "bake/vector.h"

namespace espalier::bake {
namespace {

constexpr double kExpectedUse = 0.6;       // of the texture, before the charts are packed
constexpr double kAutomaticBlend = 0.005;  // of the texels that are translucent
constexpr float kMaskCutoff = 0.5f;
constexpr double kTexelsBegin = 0.2;  // of the whole, as progress is told

Status check(const BakeOptions& options) {
  if (options.texture_size < kSmallestTexture || options.texture_size > kLargestTexture) {
    return absl::InvalidArgumentError(
        absl::StrCat("texture_size ", options.texture_size, " must be ", kSmallestTexture, "..", kLargestTexture));
  }
  if (options.threads < 0) return absl::InvalidArgumentError("threads must not be negative");
  return absl::OkStatus();
}

// Tells where the work is, times it, and stops it between two steps.
class Steps {
 public:
  Steps(const BakeOptions& options, BakeReport& report) : options_(options), report_(report) {}

  Status begin(const char* step, double done) {
    end();
    if (options_.stop.stop_requested()) return absl::CancelledError("stopped");
    report_.steps.push_back({step, 0});
    start_ = Clock::now();
    tell(done);
    return absl::OkStatus();
  }
  void tell(double done) const {
    if (options_.progress) options_.progress(report_.steps.back().step, done);
  }
  void end() {
    if (report_.steps.empty()) return;
    report_.steps.back().seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  const BakeOptions& options_;
  BakeReport& report_;
  Clock::time_point start_;
};

// Without triangles that have a repeated corner and without vertices that none uses.
mesh::Surface compacted(const mesh::Surface& surface) {
  constexpr uint32_t kUnused = UINT32_MAX;
  mesh::Surface out;
  std::vector<uint32_t> place(surface.positions.size(), kUnused);
  for (const mesh::Triangle& t : surface.triangles) {
    if (t[0] == t[1] || t[1] == t[2] || t[2] == t[0]) continue;
    out.triangles.push_back(t);
    for (const uint32_t v : t) place[v] = 0;
  }
  for (size_t v = 0; v < place.size(); ++v) {
    if (place[v] == kUnused) continue;
    place[v] = static_cast<uint32_t>(out.positions.size());
    out.positions.push_back(surface.positions[v]);
  }
  for (mesh::Triangle& t : out.triangles) {
    for (uint32_t& v : t) v = place[v];
  }
  return out;
}

double area_of(const mesh::Surface& surface) {
  double sum = 0;
  for (const mesh::Triangle& t : surface.triangles) {
    sum += length(area_vector(surface.positions[t[0]], surface.positions[t[1]], surface.positions[t[2]]));
  }
  return sum;
}

// The surface cut along the outlines of its charts.
mesh::Mesh split(const mesh::Surface& surface, const std::vector<Chart>& charts, const Packing& packing, int size) {
  const std::vector<mesh::Vec3> normals = mesh::vertex_normals(surface);
  mesh::Mesh out;
  out.name = "object";
  out.triangles.resize(surface.triangles.size());
  out.material_ids.assign(surface.triangles.size(), 0);
  for (size_t c = 0; c < charts.size(); ++c) {
    const Chart& chart = charts[c];
    const auto first = static_cast<uint32_t>(out.positions.size());
    for (size_t v = 0; v < chart.vertices.size(); ++v) {
      out.positions.push_back(surface.positions[chart.vertices[v]]);
      out.normals.push_back(normals[chart.vertices[v]]);
      out.points.push_back(chart.vertices[v]);
      mesh::Vec2& uv = out.uvs.emplace_back();
      for (size_t a = 0; a < 2; ++a) {
        uv[a] = static_cast<float>((packing.corners[c][a] + packing.texels_per_unit * chart.points[v][a]) / size);
      }
    }
    for (size_t t = 0; t < chart.triangles.size(); ++t) {
      for (size_t k = 0; k < 3; ++k) out.triangles[chart.faces[t]][k] = first + chart.triangles[t][k];
    }
  }
  return out;
}

Result<mesh::Mesh> unwrapped(const mesh::Surface& surface, const BakeOptions& options, Steps& steps,
                             BakeReport& report) {
  ESP_TRY(steps.begin("charts", 0));
  ESP_TRY(mesh::validate(surface));
  const mesh::Surface clean = compacted(surface);
  const double area = area_of(clean);
  if (!(area > 0) || !std::isfinite(area)) return absl::InvalidArgumentError("the surface has no area");
  const double texels_per_unit = options.texture_size * std::sqrt(kExpectedUse / area);
  ESP_ASSIGN(const auto charts, cut_charts(clean, texels_per_unit, options.threads, options.stop));
  ESP_TRY(steps.begin("pack", kTexelsBegin / 2));
  ESP_ASSIGN(const Packing packing, pack(charts, options.texture_size, options.threads, options.stop));
  report.charts = charts.size();
  return split(clean, charts, packing, options.texture_size);
}

Status check_uvs(const mesh::Mesh& mesh) {
  if (mesh.uvs.empty()) return absl::InvalidArgumentError("the mesh has no uvs to keep");
  for (size_t i = 0; i < mesh.uvs.size(); ++i) {
    // Far out, a float has too few digits left for a place in a texture.
    if (!(std::abs(mesh.uvs[i][0]) <= 1024 && std::abs(mesh.uvs[i][1]) <= 1024)) {
      return absl::InvalidArgumentError(absl::StrCat("uv ", i, " is not within [-1024, 1024]"));
    }
  }
  for (size_t i = 0; i < mesh.triangles.size(); ++i) {
    for (size_t a = 0; a < 2; ++a) {
      const mesh::Triangle& t = mesh.triangles[i];
      const auto [low, high] = std::minmax({mesh.uvs[t[0]][a], mesh.uvs[t[1]][a], mesh.uvs[t[2]][a]});
      if (high - low > 1) {
        return absl::InvalidArgumentError(absl::StrCat("triangle ", i,
                                                       " spans more than the texture, so that its places share texels; "
                                                       "unwrap the mesh, or let it be unwrapped"));
      }
    }
  }
  return absl::OkStatus();
}

// A copy, checked, with material 0 on every triangle.
Result<mesh::Mesh> with_one_material(const mesh::Mesh& mesh) {
  mesh::Scene scene;
  scene.meshes = {mesh};
  scene.meshes[0].material_ids.assign(mesh.triangles.size(), 0);
  scene.materials.emplace_back();
  ESP_TRY(mesh::validate(scene));
  ESP_TRY(check_uvs(mesh));
  if (mesh.triangles.empty()) return absl::InvalidArgumentError("the mesh has no triangles");
  return std::move(scene.meshes[0]);
}

// One normal for all vertices of a point.
std::vector<mesh::Vec3> smooth_normals(const mesh::Mesh& mesh) {
  mesh::Surface surface{mesh.positions, mesh.triangles};
  if (mesh.points.empty()) return mesh::vertex_normals(surface);
  for (mesh::Triangle& t : surface.triangles) {
    for (uint32_t& v : t) v = mesh.points[v];
  }
  const std::vector<mesh::Vec3> by_point = mesh::vertex_normals(surface);
  std::vector<mesh::Vec3> out;
  for (const uint32_t point : mesh.points) out.push_back(by_point[point]);
  return out;
}

mesh::AlphaMode alpha_mode(AlphaChoice choice, const Textures& textures) {
  switch (choice) {
    case AlphaChoice::kBlend:
      return mesh::AlphaMode::kBlend;
    case AlphaChoice::kMask:
      return mesh::AlphaMode::kMask;
    case AlphaChoice::kOpaque:
      return mesh::AlphaMode::kOpaque;
    case AlphaChoice::kAutomatic:
      break;
  }
  const bool seen = static_cast<double>(textures.translucent) > kAutomaticBlend * static_cast<double>(textures.texels);
  return seen ? mesh::AlphaMode::kBlend : mesh::AlphaMode::kOpaque;
}

mesh::Material material(mesh::AlphaMode alpha, bool double_sided) {
  const auto texture = [](int image, int channel) {
    mesh::Texture out;
    out.image = image;
    out.channel = channel;
    return out;
  };
  mesh::Material out;
  out.name = "baked";
  out.metallic = out.roughness = 1;  // times the textures
  out.alpha_mode = alpha;
  out.alpha_cutoff = kMaskCutoff;
  out.double_sided = double_sided;
  out.base_color_texture = texture(0, 0);
  out.alpha_texture = texture(0, 3);
  out.roughness_texture = texture(1, 1);
  out.metallic_texture = texture(1, 2);
  return out;
}

// Fills `object` with the mesh, which has uvs, and its textures.
Status bake_into(BakedObject& object, mesh::Mesh mesh, const mesh::Surface& reference, const AttributeVolume& volume,
                 const BakeOptions& options, Steps& steps) {
  ESP_TRY(steps.begin("lookup", kTexelsBegin));
  ESP_ASSIGN(const VolumeSampler sampler, VolumeSampler::over(volume));
  std::optional<mesh::ClosestPoint> closest;
  if (options.snap_to_reference) {
    ESP_ASSIGN(closest, mesh::ClosestPoint::over(reference));
  }
  ESP_TRY(steps.begin("texels", kTexelsBegin));
  TextureJob job{mesh, sampler, closest ? &*closest : nullptr, options.texture_size, options.threads, options.stop, {}};
  job.progress = [&](double done) { steps.tell(kTexelsBegin + (1 - kTexelsBegin) * done); };
  ESP_ASSIGN(Textures textures, bake_textures(job));
  steps.end();
  BakeReport& report = object.report;
  report.texels = textures.texels;
  report.unfilled = textures.unfilled;
  report.alpha_mode = alpha_mode(options.alpha, textures);
  object.scene.materials = {material(report.alpha_mode, options.double_sided)};
  object.scene.images = {std::move(textures.color), std::move(textures.metallic_roughness)};
  object.scene.meshes = {std::move(mesh)};
  return absl::OkStatus();
}

}  // namespace

Result<BakedObject> bake(const mesh::Surface& surface, const mesh::Surface& reference, const AttributeVolume& volume,
                         const BakeOptions& options) {
  ESP_TRY(check(options));
  BakeOptions how = options;
  if (&surface == &reference) how.snap_to_reference = false;  // every place is its own closest point
  BakedObject out;
  Steps steps(how, out.report);
  ESP_ASSIGN(mesh::Mesh mesh, unwrapped(surface, how, steps, out.report));
  ESP_TRY(bake_into(out, std::move(mesh), reference, volume, how, steps));
  return out;
}

Result<BakedObject> bake_onto_uvs(const mesh::Mesh& mesh, const mesh::Surface& reference, const AttributeVolume& volume,
                                  const BakeOptions& options) {
  ESP_TRY(check(options));
  ESP_ASSIGN(mesh::Mesh textured, with_one_material(mesh));
  if (textured.normals.empty()) textured.normals = smooth_normals(textured);
  BakedObject out;
  Steps steps(options, out.report);
  ESP_TRY(bake_into(out, std::move(textured), reference, volume, options, steps));
  return out;
}

}  // namespace espalier::bake
