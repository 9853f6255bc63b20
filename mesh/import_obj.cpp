#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "image/transfer.h"
#include "mesh/face_tally.h"
#include "mesh/import_internal.h"
#include "mesh/mtl.h"
#include "mesh/polygon.h"
#include "mesh/text_lines.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kMaxLibraries = 64;
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

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

// As Blender's importer, which made the reference's data, except that numbers which are none make their vertex unusable
// instead of 0: what it does with a broken face, a missing index or library is done here.
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
  Status read_library(const std::string& name, bool must_exist);
  // False after it noted why the face cannot be used.
  bool read_corners(std::string_view rest);
  bool corner(std::string_view word, Corner& out);
  bool index(std::string_view& word, size_t count, int64_t& out);
  bool drop(ImportError error, const std::string& what);
  uint32_t vertex_of(const Corner& corner);
  int32_t slot_of(std::string_view name);
  void begin_object(std::string_view name);
  void finish_object();
  Status finish_materials();

  const Companions& companions_;
  const ImportLimits& limits_;
  Scene scene_;
  TextureStore textures_;
  FaceTally tally_;
  PolygonCutter cutter_;
  // Materials are known when the file ends: until then, ids are those of names.
  std::unordered_map<std::string, int32_t> material_ids_, slots_;
  std::set<std::string> libraries_;
  std::vector<Vec3> positions_, normals_;
  std::vector<Vec2> uvs_;
  std::vector<Vec4> colors_;  // beside positions_ once any vertex has a colour
  Mesh mesh_;
  std::unordered_map<Corner, uint32_t, CornerHash> corners_;  // of mesh_
  std::unordered_map<int64_t, uint32_t> points_;              // of mesh_: position -> first vertex
  std::vector<Corner> face_;
  std::vector<Vec3> places_;   // of face_
  std::vector<uint32_t> ids_;  // likewise, of mesh_
  bool all_normals_ = true, any_uv_ = false;
  int32_t slot_ = -1;
  uint64_t faces_ = 0, vertices_ = 0;
  int64_t line_ = 0;
};

// Words up to N; missing ones are 0, ones that are no numbers NaN. Returns how many there were.
template <size_t N>
size_t read_numbers(std::string_view& text, std::array<float, N>& out) {
  out.fill(0);
  for (size_t i = 0; i < N; ++i) {
    std::string_view word = next_word(text);
    if (word.empty()) return i;
    double value = 0;
    const bool number = parse_number(word, value) && word.empty();
    out[i] = number ? static_cast<float>(value) : kNotANumber;
  }
  return N;
}

Status ObjReader::vertex(std::string_view rest) {
  Vec3 p{};
  read_numbers(rest, p);
  positions_.push_back(p);
  if (positions_.size() > limits_.max_vertices) return check_counts(0, positions_.size(), limits_);
  Vec3 color{};
  const bool colored = read_numbers(rest, color) == 3 && std::isfinite(color[0] + color[1] + color[2]);
  if (colored && colors_.empty()) colors_.resize(positions_.size() - 1, {1, 1, 1, 1});
  if (!colors_.empty() || colored) {
    colors_.push_back({1, 1, 1, 1});
    if (colored) {
      for (int a = 0; a < 3; ++a) colors_.back()[a] = image::srgb_to_linear(color[a]);
    }
  }
  return absl::OkStatus();
}

bool ObjReader::drop(ImportError error, const std::string& what) {
  tally_.drop(error, tally_.dropped() > 0 ? std::string() : absl::StrCat("line ", line_, ": ", what));
  return false;
}

// One index of a face corner, counted from 1, or from the end when negative; 0-based afterwards.
bool ObjReader::index(std::string_view& word, size_t count, int64_t& out) {
  int64_t value = 0;
  if (!parse_integer(word, value)) return drop(ImportError::kUnreadable, "a face index is not a number");
  const int64_t size = static_cast<int64_t>(count);
  if (value == 0 || value > size || value < -size) {
    return drop(ImportError::kUnreadable, absl::StrCat("face index ", value, " is outside 1..", size));
  }
  out = value > 0 ? value - 1 : size + value;
  return true;
}

// Indices of uvs or normals in a file that has none are left alone: some tools write them.
bool ObjReader::corner(std::string_view word, Corner& out) {
  if (!index(word, positions_.size(), out.v)) return false;
  for (const bool uv : {true, false}) {
    if (!word.starts_with('/')) return true;
    word.remove_prefix(1);
    if (word.empty() || word.starts_with('/')) continue;
    const size_t count = uv ? uvs_.size() : normals_.size();
    if (count == 0) {
      word.remove_prefix(std::min(word.find('/'), word.size()));
    } else if (!index(word, count, uv ? out.vt : out.vn)) {
      return false;
    }
  }
  return true;
}

bool ObjReader::read_corners(std::string_view rest) {
  face_.clear();
  places_.clear();
  for (std::string_view word = next_word(rest); !word.empty() && word[0] != '#'; word = next_word(rest)) {
    if (face_.size() >= kMaxPolygon) {
      return drop(ImportError::kUnreadable, absl::StrCat("a face has more than ", kMaxPolygon, " corners"));
    }
    if (!corner(word, face_.emplace_back())) return false;
    places_.push_back(positions_[static_cast<size_t>(face_.back().v)]);
    if (!usable_position(places_.back())) {
      return drop(ImportError::kNonfiniteGeometry, "a face has a corner that is not a number within 1e9");
    }
  }
  return face_.size() >= 3 || drop(ImportError::kUnreadable, "a face needs three corners");
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
  if (!read_corners(rest)) return absl::OkStatus();
  tally_.keep();
  faces_ += face_.size() - 2;
  ids_.clear();
  for (const Corner& c : face_) ids_.push_back(vertex_of(c));
  ESP_TRY(check_counts(faces_, vertices_, limits_));
  for (const Triangle& t : cutter_.cut(places_)) {
    mesh_.triangles.push_back({ids_[t[0]], ids_[t[1]], ids_[t[2]]});
    mesh_.material_ids.push_back(slot_);
  }
  return absl::OkStatus();
}

Status ObjReader::read_library(const std::string& name, bool must_exist) {
  if (!libraries_.insert(name).second) return absl::OkStatus();
  const auto bytes = companions_.read_by_name(name, limits_.max_image_bytes);
  if (bytes.ok()) return read_mtl(*bytes, companions_, limits_, textures_, scene_, material_ids_);
  const bool missing = absl::IsNotFound(bytes.status());
  if (missing && !must_exist) return absl::OkStatus();
  const std::string why = missing ? " is missing" : absl::StrCat(": ", std::string(bytes.status().message()));
  warn(scene_, absl::StrCat("material library \"", name, "\"", why));
  return absl::OkStatus();
}

// One name, perhaps with spaces or in quotes, or several.
Status ObjReader::library(std::string_view rest) {
  const std::string whole(unquoted(trim(rest)));
  if (libraries_.contains(whole)) return absl::OkStatus();
  if (libraries_.size() >= kMaxLibraries) {
    warn(scene_, absl::StrCat("only the first ", kMaxLibraries, " material libraries are read"));
    return absl::OkStatus();
  }
  if (whole.find(' ') == std::string::npos || companions_.has(whole)) return read_library(whole, true);
  libraries_.insert(whole);
  for (std::string_view word = next_word(rest); !word.empty() && libraries_.size() <= kMaxLibraries;
       word = next_word(rest)) {
    ESP_TRY(read_library(std::string(unquoted(word)), true));
  }
  return absl::OkStatus();
}

int32_t ObjReader::slot_of(std::string_view name) {
  return slots_.try_emplace(std::string(name), static_cast<int32_t>(slots_.size())).first->second;
}

// Names become materials. A library may come after its use, and one called as the file itself need not be named.
Status ObjReader::finish_materials() {
  const auto known = [&](const auto& slot) { return material_ids_.contains(slot.first); };
  if (!std::all_of(slots_.begin(), slots_.end(), known)) {
    ESP_TRY(read_library(companions_.own_stem() + ".mtl", false));
  }
  std::vector<int32_t> ids(slots_.size(), -1);
  std::set<std::string> missing;
  for (const auto& [name, slot] : slots_) {
    const auto found = material_ids_.find(name);
    if (found != material_ids_.end()) ids[static_cast<size_t>(slot)] = found->second;
    if (found == material_ids_.end()) missing.insert(name);
  }
  for (const std::string& name : missing) warn(scene_, absl::StrCat("material \"", name, "\" is not defined"));
  for (Mesh& mesh : scene_.meshes) {
    for (int32_t& id : mesh.material_ids) id = id < 0 ? -1 : ids[static_cast<size_t>(id)];
  }
  return absl::OkStatus();
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
  // clear() would walk the largest table that there ever was, for every object.
  corners_ = decltype(corners_)();
  points_ = decltype(points_)();
  all_normals_ = true;
  any_uv_ = false;
}

Status ObjReader::statement(std::string_view word, std::string_view rest) {
  if (word == "v") return vertex(rest);
  if (word == "f") return face(rest);
  if (word == "mtllib") return library(rest);
  if (word == "vt") {
    Vec2 uv{};
    read_numbers(rest, uv);
    for (float& x : uv) x = std::isfinite(x) ? x : 0;
    uvs_.push_back({uv[0], 1 - uv[1]});
  } else if (word == "vn") {
    read_numbers(rest, normals_.emplace_back());  // what is no direction is replaced by transform_mesh()
  } else if (word == "o") {
    begin_object(rest);
  } else if (word == "usemtl") {
    slot_ = slot_of(trim(rest));
  }
  return absl::OkStatus();  // g, s, l, p, free-form curves and everything unknown
}

Result<Scene> ObjReader::read(std::string_view text) {
  TextLines lines(text);
  std::string_view line;
  while (lines.next(line)) {
    line_ = lines.number();
    const std::string_view word = next_word(line);
    if (word.empty() || word.front() == '#') continue;
    ESP_TRY(statement(word, line));
  }
  finish_object();
  ESP_TRY(tally_.finish(scene_));
  ESP_TRY(finish_materials());
  return std::move(scene_);
}

}  // namespace

Result<Scene> import_obj(std::string_view bytes, const Companions& companions, const ImportLimits& limits) {
  return ObjReader(companions, limits).read(bytes);
}

}  // namespace espalier::mesh::internal
