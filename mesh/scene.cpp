#include "mesh/scene.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

namespace espalier::mesh {
namespace {

Status invalid(const Mesh& mesh, size_t index, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("mesh ", index, " \"", mesh.name, "\": ", what));
}

bool finite(const Vec3& v) { return std::isfinite(v[0]) && std::isfinite(v[1]) && std::isfinite(v[2]); }

Status validate_mesh(const Mesh& mesh, size_t index, size_t materials) {
  const size_t n = mesh.positions.size();
  const auto fits = [n](size_t size) { return size == 0 || size == n; };
  if (!fits(mesh.normals.size())) return invalid(mesh, index, "normals do not match positions");
  if (!fits(mesh.uvs.size())) return invalid(mesh, index, "uvs do not match positions");
  if (!fits(mesh.colors.size())) return invalid(mesh, index, "colors do not match positions");
  if (!fits(mesh.points.size())) return invalid(mesh, index, "points do not match positions");
  if (mesh.material_ids.size() != mesh.triangles.size()) {
    return invalid(mesh, index, "material_ids do not match triangles");
  }
  for (const Vec3& p : mesh.positions) {
    if (!finite(p)) return invalid(mesh, index, "a position is not finite");
  }
  for (const uint32_t point : mesh.points) {
    if (point >= n) return invalid(mesh, index, "a point id is out of range");
  }
  for (const Triangle& t : mesh.triangles) {
    if (t[0] >= n || t[1] >= n || t[2] >= n) return invalid(mesh, index, "a triangle index is out of range");
  }
  for (const int32_t id : mesh.material_ids) {
    if (id < -1 || id >= static_cast<int64_t>(materials)) return invalid(mesh, index, "a material id is out of range");
  }
  return absl::OkStatus();
}

Status validate_texture(const std::optional<Texture>& texture, const Scene& scene, size_t material, const char* slot) {
  if (!texture) return absl::OkStatus();
  const auto where = absl::StrCat("material ", material, " \"", scene.materials[material].name, "\": ", slot);
  if (texture->image < 0 || texture->image >= static_cast<int64_t>(scene.images.size())) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": image index is out of range"));
  }
  if (texture->channel < 0 || texture->channel >= scene.images[texture->image].channels) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": channel is not in the image"));
  }
  return absl::OkStatus();
}

Status validate_images(const Scene& scene) {
  for (size_t i = 0; i < scene.images.size(); ++i) {
    const image::Image& image = scene.images[i];
    const bool shape = image.width > 0 && image.height > 0 && image.channels >= 1 && image.channels <= 4;
    if (!shape || image.pixels.size() != static_cast<size_t>(image.width) * image.height * image.channels) {
      return absl::InvalidArgumentError(absl::StrCat("image ", i, ": pixels do not match its size"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status validate(const Scene& scene) {
  ESP_TRY(validate_images(scene));
  for (size_t i = 0; i < scene.materials.size(); ++i) {
    const Material& m = scene.materials[i];
    ESP_TRY(validate_texture(m.base_color_texture, scene, i, "base_color_texture"));
    ESP_TRY(validate_texture(m.alpha_texture, scene, i, "alpha_texture"));
    ESP_TRY(validate_texture(m.metallic_texture, scene, i, "metallic_texture"));
    ESP_TRY(validate_texture(m.roughness_texture, scene, i, "roughness_texture"));
    ESP_TRY(validate_texture(m.emissive_texture, scene, i, "emissive_texture"));
    ESP_TRY(validate_texture(m.normal_texture, scene, i, "normal_texture"));
  }
  for (size_t i = 0; i < scene.meshes.size(); ++i) {
    ESP_TRY(validate_mesh(scene.meshes[i], i, scene.materials.size()));
  }
  return absl::OkStatus();
}

uint64_t face_count(const Scene& scene) {
  uint64_t count = 0;
  for (const Mesh& mesh : scene.meshes) count += mesh.triangles.size();
  return count;
}

uint64_t vertex_count(const Scene& scene) {
  uint64_t count = 0;
  for (const Mesh& mesh : scene.meshes) count += mesh.positions.size();
  return count;
}

}  // namespace espalier::mesh
