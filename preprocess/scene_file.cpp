#include "preprocess/scene_file.h"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace espalier::preprocess {
namespace {

constexpr std::string_view kMagic = "ESPSCN1\n";
constexpr uint8_t kScene = 1, kError = 2;
constexpr uint64_t kMaxText = 64 << 10;
constexpr uint64_t kMaxWarnings = 1000;

class Writer {
 public:
  explicit Writer(uint8_t kind) : out_(kMagic) { value(kind); }

  template <class T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void text(std::string_view text) {
    text = text.substr(0, kMaxText);
    value(static_cast<uint64_t>(text.size()));
    out_ += text;
  }
  template <class T>
  void array(const std::vector<T>& items) {
    static_assert(std::is_trivially_copyable_v<T>);
    value(static_cast<uint64_t>(items.size()));
    out_.append(reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T));
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Bounded reading; after the first fault every read gives zeros and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T value() {
    T v{};
    if (rest_.size() < sizeof v) return fail(), v;
    std::memcpy(&v, rest_.data(), sizeof v);
    rest_.remove_prefix(sizeof v);
    return v;
  }
  // A count of items of `item_bytes` each at least, so that it cannot exceed what is left.
  uint64_t count(uint64_t limit, uint64_t item_bytes) {
    const auto n = value<uint64_t>();
    if (n > limit || n > rest_.size() / item_bytes) return fail(), 0;
    return n;
  }
  std::string text() {
    const uint64_t n = count(kMaxText, 1);
    std::string out(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return out;
  }
  template <class T>
  std::vector<T> array(uint64_t limit) {
    std::vector<T> out(count(limit, sizeof(T)));
    if (out.empty()) return out;  // without data, which memcpy must not be given
    std::memcpy(out.data(), rest_.data(), out.size() * sizeof(T));
    rest_.remove_prefix(out.size() * sizeof(T));
    return out;
  }
  template <class Enum>
  Enum choice(Enum last) {
    const auto v = value<uint8_t>();
    if (v > static_cast<uint8_t>(last)) return fail(), Enum{};
    return static_cast<Enum>(v);
  }
  bool flag() {
    const auto v = value<uint8_t>();
    if (v > 1) fail();
    return v == 1;
  }
  float finite() {
    const auto v = value<float>();
    if (!std::isfinite(v)) return fail(), 0.0f;
    return v;
  }
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void put(Writer& out, const std::optional<mesh::Texture>& texture) {
  out.value(static_cast<uint8_t>(texture.has_value()));
  if (!texture) return;
  out.value(static_cast<int32_t>(texture->image));
  out.value(static_cast<uint8_t>(texture->wrap_u));
  out.value(static_cast<uint8_t>(texture->wrap_v));
  out.value(static_cast<uint8_t>(texture->filter));
  out.value(static_cast<int32_t>(texture->channel));
}

std::optional<mesh::Texture> get_texture(Reader& in) {
  if (!in.flag()) return std::nullopt;
  mesh::Texture texture;
  texture.image = in.value<int32_t>();
  texture.wrap_u = in.choice(mesh::Wrap::kClamp);
  texture.wrap_v = in.choice(mesh::Wrap::kClamp);
  texture.filter = in.choice(mesh::Filter::kNearest);
  texture.channel = in.value<int32_t>();
  if (texture.channel < 0 || texture.channel > 3) in.fail();
  return texture;
}

void put(Writer& out, const mesh::Material& m) {
  out.text(m.name);
  out.value(m.base_color);
  for (const float v : {m.alpha, m.metallic, m.roughness}) out.value(v);
  out.value(m.emissive);
  out.value(static_cast<uint8_t>(m.unlit));
  out.value(static_cast<uint8_t>(m.alpha_mode));
  out.value(m.alpha_cutoff);
  out.value(static_cast<uint8_t>(m.double_sided));
  for (const auto* t : {&m.base_color_texture, &m.alpha_texture, &m.metallic_texture, &m.roughness_texture,
                        &m.emissive_texture, &m.normal_texture})
    put(out, *t);
}

mesh::Vec3 get_color(Reader& in) {
  mesh::Vec3 out{};
  for (float& v : out) v = in.finite();
  return out;
}

mesh::Material get_material(Reader& in) {
  mesh::Material m;
  m.name = in.text();
  m.base_color = get_color(in);
  for (float* v : {&m.alpha, &m.metallic, &m.roughness}) *v = in.finite();
  m.emissive = get_color(in);
  m.unlit = in.flag();
  m.alpha_mode = in.choice(mesh::AlphaMode::kBlend);
  m.alpha_cutoff = in.finite();
  m.double_sided = in.flag();
  for (auto* t : {&m.base_color_texture, &m.alpha_texture, &m.metallic_texture, &m.roughness_texture,
                  &m.emissive_texture, &m.normal_texture})
    *t = get_texture(in);
  return m;
}

void put(Writer& out, const mesh::Mesh& mesh) {
  out.text(mesh.name);
  out.array(mesh.positions);
  out.array(mesh.normals);
  out.array(mesh.uvs);
  out.array(mesh.colors);
  out.array(mesh.points);
  out.array(mesh.triangles);
  out.array(mesh.material_ids);
}

mesh::Mesh get_mesh(Reader& in, const mesh::ImportLimits& limits) {
  mesh::Mesh mesh;
  mesh.name = in.text();
  mesh.positions = in.array<mesh::Vec3>(limits.max_vertices);
  mesh.normals = in.array<mesh::Vec3>(limits.max_vertices);
  mesh.uvs = in.array<mesh::Vec2>(limits.max_vertices);
  mesh.colors = in.array<mesh::Vec4>(limits.max_vertices);
  mesh.points = in.array<uint32_t>(limits.max_vertices);
  mesh.triangles = in.array<mesh::Triangle>(limits.max_faces);
  mesh.material_ids = in.array<int32_t>(limits.max_faces);
  return mesh;
}

void put(Writer& out, const image::Image& image) {
  for (const int v : {image.width, image.height, image.channels}) out.value(static_cast<int32_t>(v));
  out.array(image.pixels);
}

image::Image get_image(Reader& in, const mesh::ImportLimits& limits, uint64_t& pixels) {
  image::Image image;
  image.width = in.value<int32_t>();
  image.height = in.value<int32_t>();
  image.channels = in.value<int32_t>();
  const auto bad_side = [&](int side) { return side < 1 || side > limits.max_image_side; };
  const bool channels = image.channels == 1 || image.channels == 3 || image.channels == 4;
  if (bad_side(image.width) || bad_side(image.height) || !channels) return in.fail(), image::Image{};
  const uint64_t area = static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height);
  pixels += area;
  image.pixels = in.array<uint8_t>(area * static_cast<uint64_t>(image.channels));
  if (pixels > limits.max_total_pixels || image.pixels.size() != area * static_cast<uint64_t>(image.channels))
    in.fail();
  return image;
}

template <class T>
bool all_finite(const std::vector<T>& items) {
  for (const T& item : items) {
    for (const float v : item) {
      if (!std::isfinite(v)) return false;
    }
  }
  return true;
}

Status malformed(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("UNREADABLE: the import result ", std::string(what)));
}

mesh::Scene get_scene(Reader& in, const mesh::ImportLimits& limits) {
  mesh::Scene scene;
  const uint64_t meshes = in.count(limits.max_nodes, 8 * sizeof(uint64_t));
  for (uint64_t i = 0; i < meshes && in.ok(); ++i) scene.meshes.push_back(get_mesh(in, limits));
  const uint64_t materials = in.count(limits.max_materials, 16);
  for (uint64_t i = 0; i < materials && in.ok(); ++i) scene.materials.push_back(get_material(in));
  const uint64_t images = in.count(limits.max_images, 16);
  uint64_t pixels = 0;
  for (uint64_t i = 0; i < images && in.ok(); ++i) scene.images.push_back(get_image(in, limits, pixels));
  const uint64_t warnings = in.count(kMaxWarnings, sizeof(uint64_t));
  for (uint64_t i = 0; i < warnings && in.ok(); ++i) scene.warnings.push_back(in.text());
  return scene;
}

Status check(const mesh::Scene& scene, const mesh::ImportLimits& limits) {
  for (const mesh::Mesh& mesh : scene.meshes) {
    if (!all_finite(mesh.positions) || !all_finite(mesh.normals) || !all_finite(mesh.uvs) || !all_finite(mesh.colors))
      return malformed("has values that are not finite");
  }
  if (const Status valid = mesh::validate(scene); !valid.ok()) return malformed(std::string(valid.message()));
  if (mesh::face_count(scene) > limits.max_faces || mesh::vertex_count(scene) > limits.max_vertices)
    return absl::ResourceExhaustedError("TOO_MANY_FACES: the scene has more faces or vertices than allowed");
  return absl::OkStatus();
}

}  // namespace

std::string write_scene(const mesh::Scene& scene) {
  Writer out(kScene);
  out.value(static_cast<uint64_t>(scene.meshes.size()));
  for (const auto& mesh : scene.meshes) put(out, mesh);
  out.value(static_cast<uint64_t>(scene.materials.size()));
  for (const auto& material : scene.materials) put(out, material);
  out.value(static_cast<uint64_t>(scene.images.size()));
  for (const auto& image : scene.images) put(out, image);
  const uint64_t warnings = std::min<uint64_t>(scene.warnings.size(), kMaxWarnings);
  out.value(warnings);
  for (uint64_t i = 0; i < warnings; ++i) out.text(scene.warnings[i]);
  return out.take();
}

std::string write_import_error(const Status& error) {
  Writer out(kError);
  out.value(static_cast<int32_t>(error.code()));
  out.text(std::string(error.message()));
  return out.take();
}

Result<mesh::Scene> read_import_result(std::string_view bytes, const mesh::ImportLimits& limits) {
  if (!bytes.starts_with(kMagic)) return malformed("is missing or malformed");
  Reader in(bytes.substr(kMagic.size()));
  const auto kind = in.value<uint8_t>();
  if (kind == kError) {
    const auto code = in.value<int32_t>();
    const std::string message = in.text();
    if (!in.ok() || !in.at_end() || code < 1 || code > 16 || message.empty()) return malformed("is malformed");
    return Status(static_cast<absl::StatusCode>(code), message);
  }
  if (kind != kScene) return malformed("is of an unknown kind");
  mesh::Scene scene = get_scene(in, limits);
  if (!in.ok() || !in.at_end()) return malformed("is malformed");
  ESP_TRY(check(scene, limits));
  return scene;
}

}  // namespace espalier::preprocess
