#include <algorithm>
#include <bit>
#include <set>

#include "absl/strings/str_cat.h"
#include "mesh/import_internal.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kHeaderBytes = 84;
constexpr size_t kTriangleBytes = 50;

float little_float(const char* bytes) {
  uint32_t bits = 0;
  for (int i = 3; i >= 0; --i) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
  return std::bit_cast<float>(bits);
}

uint32_t little_u32(const char* bytes) { return std::bit_cast<uint32_t>(little_float(bytes)); }

// Corner soup of a binary file, whose length was checked against its triangle count.
std::vector<Vec3> read_binary(std::string_view bytes) {
  const uint32_t count = little_u32(bytes.data() + 80);
  std::vector<Vec3> corners;
  corners.reserve(size_t{count} * 3);
  for (uint32_t t = 0; t < count; ++t) {
    const char* record = bytes.data() + kHeaderBytes + size_t{t} * kTriangleBytes + 12;
    for (int k = 0; k < 9; k += 3) {
      corners.push_back(
          {little_float(record + k * 4), little_float(record + k * 4 + 4), little_float(record + k * 4 + 8)});
    }
  }
  return corners;
}

Result<std::vector<Vec3>> read_ascii(std::string_view text, const ImportLimits& limits) {
  std::vector<Vec3> corners;
  std::string_view line;
  int64_t number = 0;
  bool ended = false;
  while (next_line(text, line)) {
    ++number;
    std::string_view rest = line;
    const std::string_view word = next_word(rest);
    ended = ended || word == "endsolid";
    if (word != "vertex") continue;
    std::array<double, 3> v{};
    for (double& x : v) {
      if (!parse_number(rest, x)) {
        return import_error(ImportError::kUnreadable, absl::StrCat("line ", number, ": a vertex needs three numbers"));
      }
    }
    corners.push_back({static_cast<float>(v[0]), static_cast<float>(v[1]), static_cast<float>(v[2])});
    if (corners.size() / 3 > limits.max_faces) ESP_TRY(check_counts(corners.size() / 3, 0, limits));
  }
  if (corners.size() % 3 != 0 || !ended) {
    return import_error(ImportError::kUnreadable, "the text ends inside a facet or without endsolid");
  }
  return corners;
}

// One vertex per position; faces with two equal corners and repeated faces are dropped, as Blender does.
Mesh weld(const std::vector<Vec3>& corners) {
  Mesh mesh;
  Mesh soup;
  soup.positions = corners;
  weld_points(soup, /*with_normals=*/false);
  std::vector<uint32_t> index(corners.size(), UINT32_MAX);
  std::set<Triangle> seen;
  for (size_t i = 0; i + 2 < corners.size(); i += 3) {
    Triangle triangle{};
    for (int k = 0; k < 3; ++k) {
      uint32_t& id = index[soup.points[i + k]];
      if (id == UINT32_MAX) {
        id = static_cast<uint32_t>(mesh.positions.size());
        mesh.positions.push_back(corners[i + k]);
      }
      triangle[k] = id;
    }
    if (triangle[0] == triangle[1] || triangle[1] == triangle[2] || triangle[0] == triangle[2]) continue;
    Triangle sorted = triangle;
    std::sort(sorted.begin(), sorted.end());
    if (seen.insert(sorted).second) mesh.triangles.push_back(triangle);
  }
  mesh.material_ids.assign(mesh.triangles.size(), -1);
  return mesh;
}

}  // namespace

Result<Scene> import_stl(std::string_view bytes, const ImportLimits& limits) {
  const bool binary = bytes.size() >= kHeaderBytes &&
                      kHeaderBytes + uint64_t{kTriangleBytes} * little_u32(bytes.data() + 80) == bytes.size();
  std::vector<Vec3> corners;
  if (binary) {
    ESP_TRY(check_counts(little_u32(bytes.data() + 80), 0, limits));
    corners = read_binary(bytes);
  } else {
    ESP_ASSIGN(corners, read_ascii(bytes, limits));
  }
  Scene scene;
  scene.meshes.push_back(weld(corners));
  scene.meshes[0].name = "stl";
  return scene;
}

}  // namespace espalier::mesh::internal
