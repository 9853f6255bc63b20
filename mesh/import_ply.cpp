#include <bit>
#include <optional>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "image/transfer.h"
#include "mesh/import_internal.h"
#include "mesh/ply_faces.h"
#include "mesh/ply_header.h"

namespace espalier::mesh::internal {
namespace ply {
namespace {

Status unreadable(const std::string& what) { return import_error(ImportError::kUnreadable, what); }

// The fewest bytes one row can take, to bound counts by the file's size before anything is allocated.
uint64_t smallest_row(const Element& element, Encoding encoding) {
  uint64_t bytes = 0;
  for (const Property& p : element.properties) {
    bytes += encoding == Encoding::kAscii ? 2 : size_of(p.count_type.value_or(p.type));
  }
  return bytes > 0 ? bytes : 1;
}

// Reads scalars of the body one after the other.
class Cursor {
 public:
  Cursor(std::string_view body, Encoding encoding) : body_(body), encoding_(encoding) {}

  bool read(Type type, double& value) {
    if (encoding_ == Encoding::kAscii) return parse_number(body_, value);
    const size_t size = size_of(type);
    if (body_.size() < size) return false;
    uint64_t bits = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t at = encoding_ == Encoding::kLittle ? size - 1 - i : i;
      bits = bits << 8 | static_cast<uint8_t>(body_[at]);
    }
    body_.remove_prefix(size);
    value = decode(type, bits);
    return true;
  }

  size_t left() const { return body_.size(); }

 private:
  static double decode(Type type, uint64_t bits) {
    switch (type) {
      case Type::kInt8:
        return static_cast<int8_t>(bits);
      case Type::kUint8:
        return static_cast<uint8_t>(bits);
      case Type::kInt16:
        return static_cast<int16_t>(bits);
      case Type::kUint16:
        return static_cast<uint16_t>(bits);
      case Type::kInt32:
        return static_cast<int32_t>(bits);
      case Type::kUint32:
        return static_cast<uint32_t>(bits);
      case Type::kFloat:
        return std::bit_cast<float>(static_cast<uint32_t>(bits));
      case Type::kDouble:
        break;
    }
    return std::bit_cast<double>(bits);
  }

  std::string_view body_;
  Encoding encoding_;
};

// Calls visit(value) for each entry of a list.
template <class Visit>
Status read_list(Cursor& cursor, const Property& property, const Visit& visit) {
  double count = 0;
  if (!cursor.read(*property.count_type, count)) return unreadable("the file ends inside the data");
  if (!(count >= 0) || count > static_cast<double>(cursor.left())) {
    return unreadable(absl::StrCat("a list of ", count, " entries does not fit in the file"));
  }
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    double value = 0;
    if (!cursor.read(property.type, value)) return unreadable("the file ends inside the data");
    visit(value);
  }
  return absl::OkStatus();
}

Status skip_property(Cursor& cursor, const Property& property) {
  if (property.count_type) return read_list(cursor, property, [](double) {});
  double ignored = 0;
  return cursor.read(property.type, ignored) ? absl::OkStatus() : unreadable("the file ends inside the data");
}

Status skip_element(Cursor& cursor, const Element& element) {
  for (uint64_t row = 0; row < element.count; ++row) {
    for (const Property& p : element.properties) ESP_TRY(skip_property(cursor, p));
  }
  return absl::OkStatus();
}

// Where each property of a vertex goes: 0-2 position, 3-5 normal, 6-7 uv, 8-11 colour, -1 nowhere.
int vertex_slot(std::string_view name) {
  static constexpr std::pair<std::string_view, int> kSlots[] = {
      {"x", 0},
      {"y", 1},
      {"z", 2},
      {"nx", 3},
      {"ny", 4},
      {"nz", 5},
      {"s", 6},
      {"t", 7},
      {"u", 6},
      {"v", 7},
      {"texture_u", 6},
      {"texture_v", 7},
      {"red", 8},
      {"green", 9},
      {"blue", 10},
      {"alpha", 11},
      {"r", 8},
      {"g", 9},
      {"b", 10},
      {"diffuse_red", 8},
      {"diffuse_green", 9},
      {"diffuse_blue", 10},
  };
  for (const auto& [slot_name, slot] : kSlots) {
    if (slot_name == name) return slot;
  }
  return -1;
}

double color_scale(Type type) {
  if (type == Type::kUint8) return 1.0 / 255;
  if (type == Type::kUint16) return 1.0 / 65535;
  return 1;
}

void store_vertex(const std::array<double, 12>& v, bool normals, bool uvs, bool colors, Mesh& mesh) {
  const auto f = [&v](int i) { return static_cast<float>(v[i]); };
  mesh.positions.push_back({f(0), f(1), f(2)});
  if (normals) mesh.normals.push_back({f(3), f(4), f(5)});
  if (uvs) mesh.uvs.push_back({f(6), 1 - f(7)});  // the file's v grows upwards
  if (colors)
    mesh.colors.push_back(
        {image::srgb_to_linear(f(8)), image::srgb_to_linear(f(9)), image::srgb_to_linear(f(10)), f(11)});
}

Status read_vertices(Cursor& cursor, const Element& element, const ImportLimits& limits, Mesh& mesh) {
  ESP_TRY(check_counts(0, element.count, limits));
  std::array<bool, 12> present{};
  for (const Property& p : element.properties) {
    const int slot = p.count_type ? -1 : vertex_slot(p.name);
    if (slot >= 0) present[slot] = true;
  }
  if (!present[0] || !present[1] || !present[2]) return unreadable("vertices have no x, y, z");
  const bool normals = present[3] && present[4] && present[5];
  const bool uvs = present[6] && present[7];
  const bool colors = present[8] && present[9] && present[10];
  mesh.positions.reserve(element.count);
  for (uint64_t row = 0; row < element.count; ++row) {
    std::array<double, 12> v{};
    v[11] = 1;
    for (const Property& p : element.properties) {
      if (p.count_type) {
        ESP_TRY(skip_property(cursor, p));
        continue;
      }
      double value = 0;
      if (!cursor.read(p.type, value)) return unreadable("the file ends inside the vertices");
      const int slot = vertex_slot(p.name);
      if (slot >= 0) v[slot] = slot >= 8 ? value * color_scale(p.type) : value;
    }
    store_vertex(v, normals, uvs, colors, mesh);
  }
  return absl::OkStatus();
}

bool is_index_list(const Property& p) {
  return p.count_type && (p.name == "vertex_indices" || p.name == "vertex_index");
}

Status read_faces(Cursor& cursor, const Element& element, Faces& faces) {
  std::vector<double> corners;
  for (uint64_t row = 0; row < element.count; ++row) {
    for (const Property& p : element.properties) {
      if (!is_index_list(p)) {
        ESP_TRY(skip_property(cursor, p));
        continue;
      }
      corners.clear();
      ESP_TRY(read_list(cursor, p, [&](double corner) {
        if (corners.size() <= kMaxPolygon) corners.push_back(corner);
      }));
      ESP_TRY(faces.polygon(corners));
    }
  }
  return absl::OkStatus();
}

Status read_strips(Cursor& cursor, const Element& element, Faces& faces) {
  for (uint64_t row = 0; row < element.count; ++row) {
    for (const Property& p : element.properties) {
      if (!is_index_list(p)) {
        ESP_TRY(skip_property(cursor, p));
        continue;
      }
      Status status = absl::OkStatus();
      ESP_TRY(read_list(cursor, p, [&](double corner) {
        if (status.ok()) status = faces.strip_corner(corner);
      }));
      ESP_TRY(status);
      faces.end_strip();
    }
  }
  return absl::OkStatus();
}

// Of the element that is read: the first with any.
uint64_t vertex_total(const Header& header) {
  for (const Element& element : header.elements) {
    if (element.name == "vertex" && element.count > 0) return element.count;
  }
  return 0;
}

// Vertices that no face may use, so that they count neither for the object's size nor as broken geometry.
void drop_unusable_vertices(Mesh& mesh) {
  constexpr uint32_t kGone = UINT32_MAX;
  std::vector<uint32_t> place(mesh.positions.size(), kGone);
  uint32_t kept = 0;
  for (size_t v = 0; v < place.size(); ++v) {
    if (usable_position(mesh.positions[v])) place[v] = kept++;
  }
  if (kept == place.size()) return;
  const auto compact = [&](auto& values) {
    if (values.empty()) return;
    for (size_t v = 0; v < place.size(); ++v) {
      if (place[v] != kGone) values[place[v]] = values[v];
    }
    values.resize(kept);
  };
  compact(mesh.positions);
  compact(mesh.normals);
  compact(mesh.uvs);
  compact(mesh.colors);
  for (Triangle& t : mesh.triangles) {
    for (uint32_t& v : t) v = place[v];
  }
}

// What the file is, where it has no faces.
Status no_faces(const Header& header, const std::vector<std::string>& skipped) {
  std::string what = absl::StrCat("no faces, but ", vertex_total(header), " points");
  for (const Element& element : header.elements) {
    for (const Property& p : element.properties) {
      if (element.name == "vertex" && p.name == "f_dc_0") what = "no faces: Gaussian splats, which are no surface";
    }
  }
  if (!skipped.empty()) absl::StrAppend(&what, "; not read: ", absl::StrJoin(skipped, ", "));
  return import_error(ImportError::kEmptyMesh, what);
}

Scene scene_of(Mesh mesh) {
  Scene scene;
  if (!mesh.colors.empty()) {
    Material material;  // white, so that the vertex colours show
    material.name = "vertex colors";
    scene.materials.push_back(material);
  }
  mesh.material_ids.assign(mesh.triangles.size(), scene.materials.empty() ? -1 : 0);
  scene.meshes.push_back(std::move(mesh));
  return scene;
}

}  // namespace
}  // namespace ply

Result<Scene> import_ply(std::string_view bytes, const ImportLimits& limits) {
  using namespace ply;
  std::string_view body = bytes;
  ESP_ASSIGN(const Header header, parse_header(body));
  Mesh mesh;
  mesh.name = "ply";
  Cursor cursor(body, header.encoding);
  FaceTally tally;
  Faces faces(vertex_total(header), limits, mesh, tally);
  std::vector<std::string> skipped;
  for (const Element& element : header.elements) {
    if (element.count > cursor.left() / smallest_row(element, header.encoding) + 1) {
      return unreadable(absl::StrCat(element.count, " rows of \"", element.name, "\" do not fit in the file"));
    }
    if (element.name == "vertex" && mesh.positions.empty()) {
      ESP_TRY(read_vertices(cursor, element, limits, mesh));
    } else if (element.name == "face") {
      ESP_TRY(read_faces(cursor, element, faces));
    } else if (element.name == "tristrips") {
      ESP_TRY(read_strips(cursor, element, faces));
    } else {
      skipped.push_back(absl::StrCat("\"", absl::CEscape(element.name.substr(0, 64)), "\""));
      ESP_TRY(skip_element(cursor, element));
    }
  }
  if (mesh.triangles.empty() && tally.dropped() == 0) return no_faces(header, skipped);
  drop_unusable_vertices(mesh);
  Scene scene = scene_of(std::move(mesh));
  ESP_TRY(tally.finish(scene));
  return scene;
}

}  // namespace espalier::mesh::internal
