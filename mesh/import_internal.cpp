#include "mesh/import_internal.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "image/codec.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kMaxWarnings = 64;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

absl::StatusCode status_code(ImportError error) {
  switch (error) {
    case ImportError::kUnreadable:
      return absl::StatusCode::kDataLoss;
    case ImportError::kTooManyFaces:
      return absl::StatusCode::kResourceExhausted;
    case ImportError::kMissingCompanion:
      return absl::StatusCode::kNotFound;
    default:
      return absl::StatusCode::kInvalidArgument;
  }
}

struct PointKey {
  std::array<uint32_t, 6> bits;
  bool operator==(const PointKey&) const = default;
};

struct PointHash {
  size_t operator()(const PointKey& key) const {
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (const uint32_t b : key.bits) hash = std::rotl((hash ^ b) * 0xFF51AFD7ED558CCDu, 31);
    return static_cast<size_t>(hash);
  }
};

}  // namespace

Status import_error(ImportError error, std::string_view message) {
  return Status(status_code(error), absl::StrCat(std::string(import_error_name(error)), ": ", std::string(message)));
}

Status check_counts(uint64_t faces, uint64_t vertices, const ImportLimits& limits) {
  if (faces > limits.max_faces) {
    return import_error(ImportError::kTooManyFaces, absl::StrCat(faces, " triangles; at most ", limits.max_faces));
  }
  if (vertices > limits.max_vertices) {
    return import_error(ImportError::kTooManyFaces, absl::StrCat(vertices, " vertices; at most ", limits.max_vertices));
  }
  return absl::OkStatus();
}

int TextureStore::add(const std::string& key, const Result<std::string>& bytes) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return found->second;
  by_key_[key] = -1;
  if (!bytes.ok()) {
    warn(scene_, absl::StrCat("texture ", key, ": ", std::string(bytes.status().message())));
    return -1;
  }
  if (scene_.images.size() >= limits_.max_images) {
    warn(scene_, absl::StrCat("texture ", key, ": more than ", limits_.max_images, " textures"));
    return -1;
  }
  auto decoded = image::decode(*bytes, {limits_.max_image_bytes, limits_.max_image_side});
  if (!decoded.ok()) {
    warn(scene_, absl::StrCat("texture ", key, ": ", std::string(decoded.status().message())));
    return -1;
  }
  return add_pixels(key, std::move(decoded->image));
}

int TextureStore::add_pixels(const std::string& key, image::Image pixels) {
  pixels_ += static_cast<uint64_t>(pixels.width) * pixels.height;
  by_key_[key] = -1;
  if (pixels_ > limits_.max_total_pixels) {
    warn(scene_, absl::StrCat("texture ", key, ": all textures together pass ", limits_.max_total_pixels, " pixels"));
    return -1;
  }
  scene_.images.push_back(std::move(pixels));
  return by_key_[key] = static_cast<int>(scene_.images.size()) - 1;
}

bool usable_position(const Vec3& position) {
  for (const float x : position) {
    if (!(std::abs(x) <= kMaxCoordinate)) return false;
  }
  return true;
}

void warn(Scene& scene, std::string message) {
  if (scene.warnings.size() >= kMaxWarnings) return;
  for (const std::string& earlier : scene.warnings) {
    if (earlier == message) return;
  }
  scene.warnings.push_back(std::move(message));
}

Transform Transform::operator*(const Transform& right) const {
  Transform out;
  for (int c = 0; c < 4; ++c) {
    for (int r = 0; r < 4; ++r) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) sum += m[k * 4 + r] * right.m[c * 4 + k];
      out.m[c * 4 + r] = sum;
    }
  }
  return out;
}

std::array<double, 3> Transform::point(const std::array<double, 3>& p) const {
  std::array<double, 3> out{};
  for (int r = 0; r < 3; ++r) out[r] = m[r] * p[0] + m[4 + r] * p[1] + m[8 + r] * p[2] + m[12 + r];
  return out;
}

double Transform::determinant() const {
  return m[0] * (m[5] * m[10] - m[9] * m[6]) - m[4] * (m[1] * m[10] - m[9] * m[2]) + m[8] * (m[1] * m[6] - m[5] * m[2]);
}

Transform y_up_to_z_up() {
  Transform map;
  map.m = {1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1};
  return map;
}

void transform_mesh(const Transform& map, Mesh& mesh) {
  for (Vec3& p : mesh.positions) {
    const auto q = map.point({p[0], p[1], p[2]});
    for (int a = 0; a < 3; ++a) p[a] = static_cast<float>(q[a]);
  }
  // The cofactor matrix (here by columns) carries normals under any affine map, also a singular one.
  const auto& m = map.m;
  const double sign = map.determinant() < 0 ? -1 : 1;
  const std::array<double, 9> cofactor = {
      m[5] * m[10] - m[9] * m[6], m[8] * m[6] - m[4] * m[10], m[4] * m[9] - m[8] * m[5],
      m[9] * m[2] - m[1] * m[10], m[0] * m[10] - m[8] * m[2], m[8] * m[1] - m[0] * m[9],
      m[1] * m[6] - m[5] * m[2],  m[4] * m[2] - m[0] * m[6],  m[0] * m[5] - m[4] * m[1]};
  for (Vec3& n : mesh.normals) {
    std::array<double, 3> out{};
    for (int r = 0; r < 3; ++r) {
      out[r] = sign * (cofactor[r] * n[0] + cofactor[3 + r] * n[1] + cofactor[6 + r] * n[2]);
    }
    const double length = std::sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2]);
    const bool usable = length > 0 && std::isfinite(length);
    for (int a = 0; a < 3; ++a) n[a] = usable ? static_cast<float>(out[a] / length) : (a == 2 ? 1.0f : 0.0f);
  }
  if (sign < 0) {
    for (Triangle& t : mesh.triangles) std::swap(t[1], t[2]);
  }
}

void weld_points(Mesh& mesh, bool with_normals) {
  std::unordered_map<PointKey, uint32_t, PointHash> first;
  first.reserve(mesh.positions.size());
  mesh.points.resize(mesh.positions.size());
  for (uint32_t i = 0; i < mesh.positions.size(); ++i) {
    PointKey key{};
    for (int a = 0; a < 3; ++a) key.bits[a] = std::bit_cast<uint32_t>(mesh.positions[i][a] + 0.0f);
    if (with_normals && !mesh.normals.empty()) {
      for (int a = 0; a < 3; ++a)
        key.bits[3 + a] = static_cast<uint32_t>(static_cast<int32_t>(mesh.normals[i][a] * 50000));
    }
    mesh.points[i] = first.try_emplace(key, i).first->second;
  }
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back() || (text.front() != '"' && text.front() != '\'')) return text;
  return trim(text.substr(1, text.size() - 2));
}

std::string_view next_word(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  size_t length = 0;
  while (length < text.size() && !is_blank(text[length])) ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

bool parse_number(std::string_view& text, double& value) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // A denormal is as good as zero; an overflow must be seen as not finite.
    value = std::string_view(text.data(), end).find("e-") == std::string_view::npos ? HUGE_VAL : 0;
  } else if (error != std::errc()) {
    return false;
  }
  text.remove_prefix(end - text.data());
  return true;
}

bool parse_integer(std::string_view& text, int64_t& value) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(end - text.data());
  return true;
}

bool next_line(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return true;
}

}  // namespace espalier::mesh::internal
