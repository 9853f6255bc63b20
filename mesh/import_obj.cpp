#include <bit>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "image/transfer.h"
#include "mesh/import_internal.h"
#include "mesh/mtl.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kMaxLine = 64 << 10;
constexpr size_t kMaxPolygon = 1024;  // corners of one face
constexpr size_t kMaxLibraries = 64;

struct Corner {
  int64_t v = -1, vt = -1, vn = -1;
  bool operator==(const Corner&) const = default;
};

struct CornerHash {
  size_t operator()(const Corner& c) const {
    uint64_t h = static_cast<uint64_t>(c.v) * 0x9E3779B97F4A7C15u;
    h = std::rotl(h ^ static_cast<uint64_t>(c.vt), 29) * 0xFF51AFD7ED558CCDu;
    h = std::rotl(h ^ static_cast<uint64_t>(c.vn), 31) * 0xC4CEB9FE1A85EC53u;
    return static_cast<size_t>(h ^ h >> 32);
  }
};

class ObjReader {
 public:
  ObjReader(const Companions& companions, const ImportLimits& limits)
      : companions_(companions), limits_(limits), textures_(scene_, limits) {}

  Result<Scene> read(std::string_view text);

 private:
  Status statement(std::string_view word, std::string_view rest);
  Status vertex(std::string_view rest);
  Status face(std::string_view rest);
  Status library(std::string_view rest);
  Status error(const std::string& what) const {
    return import_error(ImportError::kUnreadable, absl::StrCat("line ", line_, ": ", what));
  }
  Result<Corner> corner(std::string_view word) const;
  Result<int64_t> index(std::string_view& word, size_t count) const;
  uint32_t vertex_of(const Corner& corner);
  void begin_object(std::string_view name);
  void finish_object();

  const Companions& companions_;
  const ImportLimits& limits_;
  Scene scene_;
  TextureStore textures_;
  std::unordered_map<std::string, int32_t> material_ids_;
  std::vector<Vec3> positions_, normals_;
  std::vector<Vec2> uvs_;
  std::vector<Vec4> colors_;  // beside positions_ once any vertex has a colour
  Mesh mesh_;
  std::unordered_map<Corner, uint32_t, CornerHash> corners_;  // of mesh_
  std::unordered_map<int64_t, uint32_t> points_;              // of mesh_: position -> first vertex
  bool all_normals_ = true, any_uv_ = false;
  int32_t material_ = -1;
  uint64_t faces_ = 0, vertices_ = 0;
  size_t libraries_ = 0;
  int64_t line_ = 0;
};

template <size_t N>
bool parse_numbers(std::string_view& text, std::array<float, N>& out, size_t required) {
  out.fill(0);
  for (size_t i = 0; i < N; ++i) {
    double value = 0;
    if (!parse_number(text, value)) return i >= required;
    out[i] = static_cast<float>(value);
  }
  return true;
}

Status ObjReader::vertex(std::string_view rest) {
  Vec3 p{};
  if (!parse_numbers(rest, p, 3)) return error("v needs three numbers");
  positions_.push_back(p);
  if (positions_.size() > limits_.max_vertices) return check_counts(0, positions_.size(), limits_);
  Vec3 color{};
  const bool colored = !trim(rest).empty() && parse_numbers(rest, color, 3);
  if (colored && colors_.empty()) colors_.resize(positions_.size() - 1, {1, 1, 1, 1});
  if (!colors_.empty() || colored) {
    colors_.push_back({1, 1, 1, 1});
    if (colored) {
      for (int a = 0; a < 3; ++a) colors_.back()[a] = image::srgb_to_linear(color[a]);
    }
  }
  return absl::OkStatus();
}

// One index of a face corner, counted from 1, or from the end when negative; 0-based afterwards.
Result<int64_t> ObjReader::index(std::string_view& word, size_t count) const {
  int64_t value = 0;
  if (!parse_integer(word, value)) return error("a face index is not a number");
  const int64_t size = static_cast<int64_t>(count);
  if (value == 0 || value > size || value < -size) {
    return error(absl::StrCat("face index ", value, " is outside 1..", size));
  }
  return value > 0 ? value - 1 : size + value;
}

Result<Corner> ObjReader::corner(std::string_view word) const {
  Corner c;
  ESP_ASSIGN(c.v, index(word, positions_.size()));
  if (!word.starts_with('/')) return c;
  word.remove_prefix(1);
  if (!word.empty() && !word.starts_with('/')) {
    ESP_ASSIGN(c.vt, index(word, uvs_.size()));
  }
  if (!word.starts_with('/')) return c;
  word.remove_prefix(1);
  if (!word.empty()) {
    ESP_ASSIGN(c.vn, index(word, normals_.size()));
  }
  return c;
}

uint32_t ObjReader::vertex_of(const Corner& c) {
  const auto [it, added] = corners_.try_emplace(c, static_cast<uint32_t>(mesh_.positions.size()));
  if (!added) return it->second;
  mesh_.positions.push_back(positions_[c.v]);
  mesh_.uvs.push_back(c.vt >= 0 ? uvs_[c.vt] : Vec2{0, 0});
  mesh_.normals.push_back(c.vn >= 0 ? normals_[c.vn] : Vec3{0, 0, 1});
  if (!colors_.empty()) {
    mesh_.colors.resize(mesh_.positions.size() - 1, {1, 1, 1, 1});
    mesh_.colors.push_back(static_cast<size_t>(c.v) < colors_.size() ? colors_[c.v] : Vec4{1, 1, 1, 1});
  }
  mesh_.points.push_back(points_.try_emplace(c.v, it->second).first->second);
  all_normals_ = all_normals_ && c.vn >= 0;
  any_uv_ = any_uv_ || c.vt >= 0;
  ++vertices_;
  return it->second;
}

Status ObjReader::face(std::string_view rest) {
  std::vector<uint32_t> polygon;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (polygon.size() >= kMaxPolygon) return error("a face has more than 1024 corners");
    ESP_ASSIGN(const Corner c, corner(word));
    polygon.push_back(vertex_of(c));
  }
  if (polygon.size() < 3) return error("a face needs three corners");
  faces_ += polygon.size() - 2;
  ESP_TRY(check_counts(faces_, vertices_, limits_));
  for (size_t k = 2; k < polygon.size(); ++k) {
    mesh_.triangles.push_back({polygon[0], polygon[k - 1], polygon[k]});
    mesh_.material_ids.push_back(material_);
  }
  return absl::OkStatus();
}

Status ObjReader::library(std::string_view rest) {
  const std::string name(trim(rest));
  if (++libraries_ > kMaxLibraries) return error("more than 64 material libraries");
  const auto bytes = companions_.read_by_name(name, limits_.max_image_bytes);
  if (!bytes.ok()) {
    if (!absl::IsNotFound(bytes.status())) return bytes.status();
    warn(scene_, absl::StrCat("material library \"", name, "\" is missing"));
    return absl::OkStatus();
  }
  return read_mtl(*bytes, companions_, limits_, textures_, scene_, material_ids_);
}

void ObjReader::begin_object(std::string_view name) {
  finish_object();
  mesh_.name = std::string(trim(name).substr(0, 256));
}

void ObjReader::finish_object() {
  if (!mesh_.triangles.empty()) {
    if (!all_normals_) mesh_.normals.clear();
    if (!any_uv_) mesh_.uvs.clear();
    if (!mesh_.colors.empty()) mesh_.colors.resize(mesh_.positions.size(), {1, 1, 1, 1});
    transform_mesh(y_up_to_z_up(), mesh_);
    scene_.meshes.push_back(std::move(mesh_));
  }
  mesh_ = Mesh{};
  corners_.clear();
  points_.clear();
  all_normals_ = true;
  any_uv_ = false;
}

Status ObjReader::statement(std::string_view word, std::string_view rest) {
  if (word == "v") return vertex(rest);
  if (word == "f") return face(rest);
  if (word == "vt") {
    Vec2 uv{};
    if (!parse_numbers(rest, uv, 1)) return error("vt needs a number");
    uvs_.push_back({uv[0], 1 - uv[1]});
  } else if (word == "vn") {
    Vec3 n{};
    if (!parse_numbers(rest, n, 3)) return error("vn needs three numbers");
    normals_.push_back(n);
  } else if (word == "o") {
    begin_object(rest);
  } else if (word == "mtllib") {
    return library(rest);
  } else if (word == "usemtl") {
    const std::string name(trim(rest));
    const auto found = material_ids_.find(name);
    if (found == material_ids_.end()) warn(scene_, absl::StrCat("material \"", name, "\" is not defined"));
    material_ = found == material_ids_.end() ? -1 : found->second;
  }
  return absl::OkStatus();  // g, s, l, p and everything unknown
}

Result<Scene> ObjReader::read(std::string_view text) {
  std::string_view line;
  while (next_line(text, line)) {
    ++line_;
    if (line.size() > kMaxLine) return error("longer than 64 KiB");
    const std::string_view word = next_word(line);
    if (word.empty() || word.front() == '#') continue;
    ESP_TRY(statement(word, line));
  }
  finish_object();
  return std::move(scene_);
}

}  // namespace

Result<Scene> import_obj(std::string_view bytes, const Companions& companions, const ImportLimits& limits) {
  return ObjReader(companions, limits).read(bytes);
}

}  // namespace espalier::mesh::internal
