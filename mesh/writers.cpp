#include "mesh/writers.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::mesh {
namespace {

constexpr size_t kStlHeader = 80;

Status check(const Scene& scene) {
  ESP_TRY(validate(scene));
  if (face_count(scene) == 0) return absl::InvalidArgumentError("the scene has no triangles");
  if (std::max(face_count(scene), vertex_count(scene)) > UINT32_MAX) {
    return absl::InvalidArgumentError("the scene has too many vertices or triangles for this format");
  }
  return absl::OkStatus();
}

// The shortest text that reads back as the same number.
void put_text(std::string& out, float value) {
  char text[32];
  out.append(text, std::to_chars(std::begin(text), std::end(text), value).ptr);
}

void put_line(std::string& out, const char* keyword, const Vec3& v) {
  out += keyword;
  for (const float x : v) {
    out += ' ';
    put_text(out, x);
  }
  out += '\n';
}

void put_obj_mesh(std::string& out, const Mesh& mesh, uint64_t first_vertex, uint64_t first_normal) {
  for (const Vec3& p : mesh.positions) put_line(out, "v", to_y_up(p));
  for (const Vec3& n : mesh.normals) put_line(out, "vn", to_y_up(n));
  for (const Triangle& t : mesh.triangles) {
    out += 'f';
    for (const uint32_t vertex : t) {
      absl::StrAppend(&out, " ", first_vertex + vertex);
      if (!mesh.normals.empty()) absl::StrAppend(&out, "//", first_normal + vertex);
    }
    out += '\n';
  }
}

void put_vector(std::string& out, const Vec3& v) {
  for (const float x : v) put_float(out, x);
}

Vec3 facet_normal(const Mesh& mesh, const Triangle& t) {
  std::array<double, 3> u, v;
  for (size_t a = 0; a < 3; ++a) {
    u[a] = double{mesh.positions[t[1]][a]} - mesh.positions[t[0]][a];
    v[a] = double{mesh.positions[t[2]][a]} - mesh.positions[t[0]][a];
  }
  const std::array<double, 3> n{u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
  const double length = std::hypot(n[0], n[1], n[2]);
  if (!(length > 0)) return {0, 0, 0};  // what the format has for "none"
  return {static_cast<float>(n[0] / length), static_cast<float>(n[1] / length), static_cast<float>(n[2] / length)};
}

std::string ply_header(const Scene& scene, bool normals) {
  std::string out = "ply\nformat binary_little_endian 1.0\ncomment Espalier\n";
  absl::StrAppend(&out, "element vertex ", vertex_count(scene), "\n");
  for (const char* name : {"x", "y", "z"}) absl::StrAppend(&out, "property float ", name, "\n");
  if (normals) {
    for (const char* name : {"nx", "ny", "nz"}) absl::StrAppend(&out, "property float ", name, "\n");
  }
  absl::StrAppend(&out, "element face ", face_count(scene), "\nproperty list uchar uint vertex_indices\nend_header\n");
  return out;
}

}  // namespace

void put_u32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void put_float(std::string& out, float value) { put_u32(out, std::bit_cast<uint32_t>(value)); }

Result<std::string> write_obj(const Scene& scene) {
  ESP_TRY(check(scene));
  std::string out = "# Espalier\n";
  uint64_t vertices = 1, normals = 1;  // the format counts from 1
  for (size_t i = 0; i < scene.meshes.size(); ++i) {
    const Mesh& mesh = scene.meshes[i];
    absl::StrAppend(&out, "o object_", i, "\n");
    put_obj_mesh(out, mesh, vertices, normals);
    vertices += mesh.positions.size();
    normals += mesh.normals.size();
  }
  return out;
}

Result<std::string> write_ply(const Scene& scene) {
  ESP_TRY(check(scene));
  const bool normals = std::all_of(scene.meshes.begin(), scene.meshes.end(),
                                   [](const Mesh& mesh) { return mesh.normals.size() == mesh.positions.size(); });
  std::string out = ply_header(scene, normals);
  for (const Mesh& mesh : scene.meshes) {
    for (size_t i = 0; i < mesh.positions.size(); ++i) {
      put_vector(out, mesh.positions[i]);
      if (normals) put_vector(out, mesh.normals[i]);
    }
  }
  uint32_t first = 0;
  for (const Mesh& mesh : scene.meshes) {
    for (const Triangle& t : mesh.triangles) {
      out += '\3';
      for (const uint32_t vertex : t) put_u32(out, first + vertex);
    }
    first += static_cast<uint32_t>(mesh.positions.size());
  }
  return out;
}

Result<std::string> write_stl(const Scene& scene) {
  ESP_TRY(check(scene));
  std::string out = "Espalier";  // must not begin with "solid", which marks the text form
  out.resize(kStlHeader, '\0');
  put_u32(out, static_cast<uint32_t>(face_count(scene)));
  for (const Mesh& mesh : scene.meshes) {
    for (const Triangle& t : mesh.triangles) {
      put_vector(out, facet_normal(mesh, t));
      for (const uint32_t vertex : t) put_vector(out, mesh.positions[vertex]);
      out.append(2, '\0');
    }
  }
  return out;
}

}  // namespace espalier::mesh
