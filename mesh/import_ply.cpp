#include <bit>
#include <optional>

#include "absl/strings/str_cat.h"
#include "image/transfer.h"
#include "mesh/import_internal.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kMaxElements = 64;
constexpr size_t kMaxProperties = 256;
constexpr uint64_t kMaxPlyPolygon = 1024;  // corners of one face

enum class Encoding { kAscii, kLittle, kBig };
enum class Type { kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kFloat, kDouble };

struct Property {
  std::string name;
  Type type = Type::kFloat;
  std::optional<Type> count_type;  // set for lists
};

struct Element {
  std::string name;
  uint64_t count = 0;
  std::vector<Property> properties;
};

struct Header {
  Encoding encoding = Encoding::kAscii;
  std::vector<Element> elements;
};

Status unreadable(const std::string& what) { return import_error(ImportError::kUnreadable, what); }

std::optional<Type> parse_type(std::string_view word) {
  static constexpr std::pair<std::string_view, Type> kNames[] = {
      {"char", Type::kInt8},   {"int8", Type::kInt8},     {"uchar", Type::kUint8},   {"uint8", Type::kUint8},
      {"short", Type::kInt16}, {"int16", Type::kInt16},   {"ushort", Type::kUint16}, {"uint16", Type::kUint16},
      {"int", Type::kInt32},   {"int32", Type::kInt32},   {"uint", Type::kUint32},   {"uint32", Type::kUint32},
      {"float", Type::kFloat}, {"float32", Type::kFloat}, {"double", Type::kDouble}, {"float64", Type::kDouble},
  };
  for (const auto& [name, type] : kNames) {
    if (name == word) return type;
  }
  return std::nullopt;
}

size_t size_of(Type type) {
  switch (type) {
    case Type::kInt8:
    case Type::kUint8:
      return 1;
    case Type::kInt16:
    case Type::kUint16:
      return 2;
    case Type::kInt32:
    case Type::kUint32:
    case Type::kFloat:
      return 4;
    case Type::kDouble:
      break;
  }
  return 8;
}

Status parse_property(std::string_view line, Header& header) {
  if (header.elements.empty()) return unreadable("a property comes before the first element");
  Element& element = header.elements.back();
  if (element.properties.size() >= kMaxProperties) return unreadable("an element has more than 256 properties");
  Property property;
  std::string_view word = next_word(line);
  if (word == "list") {
    property.count_type = parse_type(next_word(line));
    if (!property.count_type || *property.count_type >= Type::kFloat)
      return unreadable("a list needs an integer count");
    word = next_word(line);
  }
  const auto type = parse_type(word);
  property.name = std::string(next_word(line));
  if (!type || property.name.empty()) return unreadable("a property line is not understood");
  property.type = *type;
  element.properties.push_back(property);
  return absl::OkStatus();
}

Status parse_header_line(std::string_view line, Header& header) {
  const std::string_view word = next_word(line);
  if (word == "format") {
    const std::string_view name = next_word(line);
    if (name == "ascii") {
      header.encoding = Encoding::kAscii;
    } else if (name == "binary_little_endian") {
      header.encoding = Encoding::kLittle;
    } else if (name == "binary_big_endian") {
      header.encoding = Encoding::kBig;
    } else {
      return unreadable("the format is not ascii or binary");
    }
  } else if (word == "element") {
    Element element;
    element.name = std::string(next_word(line));
    int64_t count = 0;
    if (!parse_integer(line, count) || count < 0) return unreadable("an element count is not a number");
    if (header.elements.size() >= kMaxElements) return unreadable("more than 64 elements");
    element.count = static_cast<uint64_t>(count);
    header.elements.push_back(element);
  } else if (word == "property") {
    return parse_property(line, header);
  }
  return absl::OkStatus();  // comments, obj_info and unknown words
}

// `text` is left at the first byte of the body.
Result<Header> parse_header(std::string_view& text) {
  Header header;
  std::string_view line;
  while (next_line(text, line)) {
    if (trim(line) == "end_header") return header;
    ESP_TRY(parse_header_line(line, header));
  }
  return unreadable("the header has no end");
}

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

// Reads one list; `values` empty afterwards when the caller does not want it.
Status read_list(Cursor& cursor, const Property& property, std::vector<double>* values) {
  double count = 0;
  if (!cursor.read(*property.count_type, count)) return unreadable("the file ends inside the data");
  if (!(count >= 0) || count > static_cast<double>(cursor.left()) || (values != nullptr && count > kMaxPlyPolygon)) {
    return unreadable(absl::StrCat("a list of ", count, " entries is too long"));
  }
  if (values != nullptr) values->clear();
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    double value = 0;
    if (!cursor.read(property.type, value)) return unreadable("the file ends inside the data");
    if (values != nullptr) values->push_back(value);
  }
  return absl::OkStatus();
}

Status skip_element(Cursor& cursor, const Element& element) {
  for (uint64_t row = 0; row < element.count; ++row) {
    for (const Property& p : element.properties) {
      double ignored = 0;
      if (p.count_type) {
        ESP_TRY(read_list(cursor, p, nullptr));
      } else if (!cursor.read(p.type, ignored)) {
        return unreadable("the file ends inside the data");
      }
    }
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
        ESP_TRY(read_list(cursor, p, nullptr));
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

Status add_polygon(const std::vector<double>& corners, uint64_t vertices, Mesh& mesh) {
  for (const double corner : corners) {
    if (!(corner >= 0) || corner >= static_cast<double>(vertices)) {
      return unreadable("a face refers to a vertex that does not exist");
    }
  }
  for (size_t k = 2; k < corners.size(); ++k) {
    mesh.triangles.push_back(
        {static_cast<uint32_t>(corners[0]), static_cast<uint32_t>(corners[k - 1]), static_cast<uint32_t>(corners[k])});
  }
  return absl::OkStatus();
}

Status read_faces(Cursor& cursor, const Element& element, uint64_t vertices, const ImportLimits& limits, Mesh& mesh) {
  std::vector<double> corners;
  for (uint64_t row = 0; row < element.count; ++row) {
    for (const Property& p : element.properties) {
      const bool indices = p.count_type && (p.name == "vertex_indices" || p.name == "vertex_index");
      double ignored = 0;
      if (indices) {
        ESP_TRY(read_list(cursor, p, &corners));
        ESP_TRY(add_polygon(corners, vertices, mesh));
      } else if (p.count_type) {
        ESP_TRY(read_list(cursor, p, nullptr));
      } else if (!cursor.read(p.type, ignored)) {
        return unreadable("the file ends inside the faces");
      }
    }
    if (mesh.triangles.size() > limits.max_faces) return check_counts(mesh.triangles.size(), 0, limits);
  }
  return absl::OkStatus();
}

uint64_t vertex_total(const Header& header) {
  uint64_t total = 0;
  for (const Element& element : header.elements) {
    if (element.name == "vertex") total = element.count;
  }
  return total;
}

}  // namespace

Result<Scene> import_ply(std::string_view bytes, const ImportLimits& limits) {
  std::string_view body = bytes;
  ESP_ASSIGN(const Header header, parse_header(body));
  Scene scene;
  Mesh mesh;
  mesh.name = "ply";
  Cursor cursor(body, header.encoding);
  for (const Element& element : header.elements) {
    if (element.count > cursor.left() / smallest_row(element, header.encoding) + 1) {
      return unreadable(absl::StrCat(element.count, " rows of \"", element.name, "\" do not fit in the file"));
    }
    if (element.name == "vertex" && mesh.positions.empty()) {
      ESP_TRY(read_vertices(cursor, element, limits, mesh));
    } else if (element.name == "face") {
      ESP_TRY(read_faces(cursor, element, vertex_total(header), limits, mesh));
    } else {
      if (element.name == "tristrips") warn(scene, "triangle strips of PLY are not read");
      ESP_TRY(skip_element(cursor, element));
    }
  }
  if (!mesh.colors.empty()) {
    Material material;  // white, so that the vertex colours show
    material.name = "vertex colors";
    scene.materials.push_back(material);
  }
  mesh.material_ids.assign(mesh.triangles.size(), scene.materials.empty() ? -1 : 0);
  scene.meshes.push_back(std::move(mesh));
  return scene;
}

}  // namespace espalier::mesh::internal
