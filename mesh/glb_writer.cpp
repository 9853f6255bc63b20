#include "mesh/glb_writer.h"

#include <cmath>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mesh/glb_images.h"
#include "mesh/writers.h"

namespace espalier::mesh {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFloatType = 5126, kUnsignedIntType = 5125, kUnsignedShortType = 5123;
constexpr int kArrayBuffer = 34962, kElementBuffer = 34963;
constexpr uint64_t kMaxBytes = 0xFFFFFFFFu;

int wrap_constant(Wrap wrap) { return wrap == Wrap::kClamp ? 33071 : wrap == Wrap::kMirror ? 33648 : 10497; }

// One channel of `image` at (x, y) of a raster of another size.
uint8_t nearest(const image::Image& image, int channel, int x, int y, int width, int height) {
  return image.at(static_cast<int>(int64_t{x} * image.width / width),
                  static_cast<int>(int64_t{y} * image.height / height))[channel];
}

// One primitive's corners re-indexed to the vertices it uses.
struct Part {
  int32_t material;
  std::vector<uint32_t> vertices;  // of the mesh
  std::vector<uint32_t> indices;   // into `vertices`
};

std::vector<Part> split_by_material(const Mesh& mesh) {
  std::map<int32_t, Part> parts;
  std::map<int32_t, std::vector<uint32_t>> local;
  for (size_t f = 0; f < mesh.triangles.size(); ++f) {
    const int32_t id = mesh.material_ids[f];
    Part& part = parts[id];
    part.material = id;
    auto& index = local[id];
    if (index.empty()) index.assign(mesh.positions.size(), UINT32_MAX);
    for (const uint32_t corner : mesh.triangles[f]) {
      if (index[corner] == UINT32_MAX) {
        index[corner] = static_cast<uint32_t>(part.vertices.size());
        part.vertices.push_back(corner);
      }
      part.indices.push_back(index[corner]);
    }
  }
  std::vector<Part> out;
  for (auto& [id, part] : parts) out.push_back(std::move(part));
  return out;
}

// Builds the JSON and the binary chunk side by side. Each add_… and material part returns its index in the JSON's
// arrays; what is used twice (samplers, images, textures) is found again by its key. Scenes that are equal give equal
// bytes: the maps are ordered, and nothing depends on addresses or time.
class GlbWriter {
 public:
  GlbWriter(const Scene& scene, const GlbOptions& options) : scene_(scene), options_(options) {}
  Result<std::string> write();

 private:
  int add_view(const std::string& bytes, int target);
  template <size_t N>
  int add_vectors(const std::vector<std::array<float, N>>& rows, bool bounds);
  int add_indices(const std::vector<uint32_t>& indices, size_t vertices);
  Json primitive(const Mesh& mesh, const Part& part);
  void add_mesh(const Mesh& mesh);
  int sampler(const Texture& texture);
  int texture(const Texture& texture, const std::string& key, const image::Image& pixels, bool alpha);
  Json color_texture(const Material& material);
  Json packed_texture(const Material& material);
  Json plain_texture(const Texture& texture, bool alpha = false);
  Json material(const Material& material);
  int material_index(int32_t id);
  bool is_textured(int32_t id) const;
  void add_materials();
  Status add_images();
  Result<std::string> container();

  const Scene& scene_;
  const GlbOptions& options_;
  Json json_;
  std::string binary_;
  std::map<std::tuple<int, int, int>, int> samplers_;
  std::deque<image::Image> composed_;              // from several of the scene
  std::vector<internal::EmbeddedImage> embedded_;  // images[]
  std::map<std::string, int> images_;              // content key -> images[]
  std::map<std::pair<int, int>, int> textures_;    // (image, sampler) -> textures[]
  bool default_used_ = false;
};

int GlbWriter::add_view(const std::string& bytes, int target) {
  Json view = {{"buffer", 0}, {"byteOffset", binary_.size()}, {"byteLength", bytes.size()}};
  if (target != 0) view["target"] = target;
  binary_ += bytes;
  binary_.resize((binary_.size() + 3) / 4 * 4, '\0');
  json_["bufferViews"].push_back(view);
  return static_cast<int>(json_["bufferViews"].size()) - 1;
}

template <size_t N>
int GlbWriter::add_vectors(const std::vector<std::array<float, N>>& rows, bool bounds) {
  std::string bytes;
  bytes.reserve(rows.size() * N * 4);
  std::array<float, N> low = rows.front(), high = rows.front();
  for (const auto& row : rows) {
    for (size_t c = 0; c < N; ++c) {
      put_float(bytes, row[c]);
      low[c] = std::min(low[c], row[c]);
      high[c] = std::max(high[c], row[c]);
    }
  }
  static constexpr const char* kTypes[] = {"", "SCALAR", "VEC2", "VEC3", "VEC4"};
  Json accessor = {{"bufferView", add_view(bytes, kArrayBuffer)},
                   {"componentType", kFloatType},
                   {"count", rows.size()},
                   {"type", kTypes[N]}};
  if (bounds) {
    accessor["min"] = low;
    accessor["max"] = high;
  }
  json_["accessors"].push_back(accessor);
  return static_cast<int>(json_["accessors"].size()) - 1;
}

int GlbWriter::add_indices(const std::vector<uint32_t>& indices, size_t vertices) {
  const bool small = vertices < 65535;  // 65535 itself restarts primitives
  std::string bytes;
  bytes.reserve(indices.size() * 4);
  for (const uint32_t index : indices) {
    bytes += static_cast<char>(index & 0xFF);
    bytes += static_cast<char>(index >> 8 & 0xFF);
    if (small) continue;
    bytes += static_cast<char>(index >> 16 & 0xFF);
    bytes += static_cast<char>(index >> 24 & 0xFF);
  }
  json_["accessors"].push_back({{"bufferView", add_view(bytes, kElementBuffer)},
                                {"componentType", small ? kUnsignedShortType : kUnsignedIntType},
                                {"count", indices.size()},
                                {"type", "SCALAR"}});
  return static_cast<int>(json_["accessors"].size()) - 1;
}

// Unit length is required of a glTF normal; one that has none becomes the up axis.
Vec3 unit_normal(const Vec3& n) {
  const double length = std::sqrt(double{n[0]} * n[0] + double{n[1]} * n[1] + double{n[2]} * n[2]);
  if (!(length > 0) || !std::isfinite(length)) return {0, 0, 1};
  return {static_cast<float>(n[0] / length), static_cast<float>(n[1] / length), static_cast<float>(n[2] / length)};
}

Json GlbWriter::primitive(const Mesh& mesh, const Part& part) {
  Json attributes;
  std::vector<Vec3> rows;
  for (const uint32_t v : part.vertices) rows.push_back(to_y_up(mesh.positions[v]));
  attributes["POSITION"] = add_vectors(rows, true);
  if (!mesh.normals.empty()) {
    rows.clear();
    for (const uint32_t v : part.vertices) rows.push_back(to_y_up(unit_normal(mesh.normals[v])));
    attributes["NORMAL"] = add_vectors(rows, false);
  }
  if (!mesh.uvs.empty() || is_textured(part.material)) {  // glTF wants uvs wherever there is a texture
    std::vector<Vec2> uvs;
    for (const uint32_t v : part.vertices) uvs.push_back(mesh.uvs.empty() ? Vec2{0, 0} : mesh.uvs[v]);
    attributes["TEXCOORD_0"] = add_vectors(uvs, false);
  }
  if (!mesh.colors.empty()) {
    std::vector<Vec4> colors;
    for (const uint32_t v : part.vertices) {
      colors.push_back(mesh.colors[v]);
      for (float& c : colors.back()) c = std::min(std::max(c, 0.0f), 1.0f);
    }
    attributes["COLOR_0"] = add_vectors(colors, false);
  }
  Json out;
  out["attributes"] = attributes;
  out["indices"] = add_indices(part.indices, part.vertices.size());
  out["material"] = material_index(part.material);
  return out;
}

int GlbWriter::material_index(int32_t id) {
  if (id >= 0) return id;
  default_used_ = true;
  return static_cast<int>(scene_.materials.size());
}

bool GlbWriter::is_textured(int32_t id) const {
  if (id < 0) return false;
  const Material& m = scene_.materials[static_cast<size_t>(id)];
  return m.base_color_texture || m.alpha_texture || m.metallic_texture || m.roughness_texture || m.emissive_texture ||
         m.normal_texture;
}

void GlbWriter::add_mesh(const Mesh& mesh) {
  if (mesh.triangles.empty()) return;
  Json primitives = Json::array();
  for (const Part& part : split_by_material(mesh)) primitives.push_back(primitive(mesh, part));
  Json entry, node;
  if (!mesh.name.empty()) entry["name"] = node["name"] = mesh.name;
  entry["primitives"] = primitives;
  json_["meshes"].push_back(entry);
  node["mesh"] = json_["meshes"].size() - 1;
  json_["nodes"].push_back(node);
  json_["scenes"][0]["nodes"].push_back(json_["nodes"].size() - 1);
}

int GlbWriter::sampler(const Texture& texture) {
  const auto key = std::make_tuple(static_cast<int>(texture.wrap_u), static_cast<int>(texture.wrap_v),
                                   static_cast<int>(texture.filter));
  const auto found = samplers_.find(key);
  if (found != samplers_.end()) return found->second;
  const bool nearest = texture.filter == Filter::kNearest;
  json_["samplers"].push_back({{"magFilter", nearest ? 9728 : 9729},
                               {"minFilter", nearest ? 9728 : 9987},
                               {"wrapS", wrap_constant(texture.wrap_u)},
                               {"wrapT", wrap_constant(texture.wrap_v)}});
  return samplers_[key] = static_cast<int>(json_["samplers"].size()) - 1;
}

int GlbWriter::texture(const Texture& how, const std::string& key, const image::Image& pixels, bool alpha) {
  if (!images_.contains(key)) {
    images_[key] = static_cast<int>(embedded_.size());
    embedded_.push_back({&pixels});
  }
  embedded_[static_cast<size_t>(images_[key])].alpha |= alpha;
  const std::pair<int, int> id{images_[key], sampler(how)};
  if (!textures_.contains(id)) {
    json_["textures"].push_back({{"sampler", id.second}, {"source", id.first}});
    textures_[id] = static_cast<int>(json_["textures"].size()) - 1;
  }
  return textures_[id];
}

Json GlbWriter::plain_texture(const Texture& how, bool alpha) {
  return {{"index", texture(how, absl::StrCat("image ", how.image), scene_.images[how.image], alpha)}};
}

// Base colour with alpha: the image itself when its fourth channel is the alpha, else a new RGBA image.
Json GlbWriter::color_texture(const Material& material) {
  const bool seen = material.alpha_mode != AlphaMode::kOpaque;
  const auto& color = material.base_color_texture;
  const auto& alpha = material.alpha_texture;
  if (!alpha) return plain_texture(*color, seen);
  if (color && color->image == alpha->image && alpha->channel == 3) return plain_texture(*color, seen);
  const Texture& shape = color ? *color : *alpha;
  const image::Image& alpha_image = scene_.images[alpha->image];
  const image::Image& size = scene_.images[shape.image];
  image::Image& out = composed_.emplace_back();
  out = {size.width, size.height, 4, std::vector<uint8_t>(size_t{4} * size.width * size.height, 255)};
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      uint8_t* pixel = out.at(x, y);
      for (int c = 0; color && c < 3; ++c) pixel[c] = size.at(x, y)[size.channels >= 3 ? c : 0];
      pixel[3] = nearest(alpha_image, alpha->channel, x, y, out.width, out.height);
    }
  }
  const std::string key =
      absl::StrCat("color ", color ? color->image : -1, " alpha ", alpha->image, ".", alpha->channel);
  return {{"index", texture(shape, key, out, seen)}};
}

// Roughness in green, metallic in blue, as glTF wants them.
Json GlbWriter::packed_texture(const Material& material) {
  const auto& metallic = material.metallic_texture;
  const auto& roughness = material.roughness_texture;
  if (metallic && roughness && metallic->image == roughness->image && metallic->channel == 2 &&
      roughness->channel == 1) {
    return plain_texture(*metallic);
  }
  const Texture& shape = roughness ? *roughness : *metallic;
  const image::Image& size = scene_.images[shape.image];
  image::Image& out = composed_.emplace_back();
  out = {size.width, size.height, 3, std::vector<uint8_t>(size_t{3} * size.width * size.height, 255)};
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      uint8_t* pixel = out.at(x, y);
      pixel[0] = 0;
      if (roughness) pixel[1] = nearest(size, roughness->channel, x, y, out.width, out.height);
      if (metallic) {
        pixel[2] = nearest(scene_.images[metallic->image], metallic->channel, x, y, out.width, out.height);
      }
    }
  }
  const std::string key =
      absl::StrCat("roughness ", roughness ? roughness->image : -1, ".", roughness ? roughness->channel : 0,
                   " metallic ", metallic ? metallic->image : -1, ".", metallic ? metallic->channel : 0);
  return {{"index", texture(shape, key, out, false)}};
}

void use_extension(Json& json, Json& material, const char* name, const Json& value) {
  material["extensions"][name] = value;
  for (const Json& used : json["extensionsUsed"]) {
    if (used == name) return;
  }
  json["extensionsUsed"].push_back(name);
}

float factor(float value) { return std::min(std::max(value, 0.0f), 1.0f); }

Json GlbWriter::material(const Material& m) {
  Json out, pbr;
  if (!m.name.empty()) out["name"] = m.name;
  pbr["baseColorFactor"] = {factor(m.base_color[0]), factor(m.base_color[1]), factor(m.base_color[2]), factor(m.alpha)};
  pbr["metallicFactor"] = factor(m.metallic);
  pbr["roughnessFactor"] = factor(m.roughness);
  if (m.base_color_texture || m.alpha_texture) {
    pbr["baseColorTexture"] = color_texture(m);
  }
  if (m.metallic_texture || m.roughness_texture) {
    pbr["metallicRoughnessTexture"] = packed_texture(m);
  }
  out["pbrMetallicRoughness"] = pbr;
  if (m.normal_texture) {
    out["normalTexture"] = plain_texture(*m.normal_texture);
  }
  if (m.emissive_texture) {
    out["emissiveTexture"] = plain_texture(*m.emissive_texture);
  }
  const float strength = std::max({m.emissive[0], m.emissive[1], m.emissive[2]});
  if (strength > 0) {
    const float k = strength > 1 ? 1 / strength : 1;
    out["emissiveFactor"] = {factor(m.emissive[0] * k), factor(m.emissive[1] * k), factor(m.emissive[2] * k)};
    if (strength > 1) {
      use_extension(json_, out, "KHR_materials_emissive_strength", {{"emissiveStrength", strength}});
    }
  }
  if (m.alpha_mode == AlphaMode::kBlend) out["alphaMode"] = "BLEND";
  if (m.alpha_mode == AlphaMode::kMask) {
    out["alphaMode"] = "MASK";
    out["alphaCutoff"] = std::max(m.alpha_cutoff, 0.0f);
  }
  if (m.double_sided) out["doubleSided"] = true;
  if (m.unlit) use_extension(json_, out, "KHR_materials_unlit", Json::object());
  return out;
}

void GlbWriter::add_materials() {
  std::vector<Material> materials = scene_.materials;
  if (default_used_) materials.push_back(default_material());
  for (const Material& m : materials) {
    Json entry = material(m);  // first: it adds to json_, too
    json_["materials"].push_back(std::move(entry));
  }
}

Status GlbWriter::add_images() {
  ESP_ASSIGN(const auto files, internal::encode_images(embedded_, options_));
  for (const internal::ImageFile& file : files) {
    const int view = add_view(file.bytes, 0);
    json_["images"].push_back({{"bufferView", view}, {"mimeType", file.mime_type}});
  }
  // A texture of a format that glTF itself does not know has no other source, so that readers must know it.
  bool needed = false;
  for (Json& texture : json_["textures"]) {
    const int source = texture["source"];
    if (files[static_cast<size_t>(source)].format != TextureFormat::kWebp) continue;
    texture.erase("source");
    texture["extensions"]["EXT_texture_webp"]["source"] = source;
    needed = true;
  }
  if (needed) {
    json_["extensionsUsed"].push_back("EXT_texture_webp");
    json_["extensionsRequired"].push_back("EXT_texture_webp");
  }
  return absl::OkStatus();
}

Result<std::string> GlbWriter::container() {
  json_["buffers"] = Json::array({{{"byteLength", binary_.size()}}});
  // A name may hold bytes that are not UTF-8; they are replaced rather than refused.
  std::string text = json_.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 3) / 4 * 4, ' ');
  const uint64_t total = 12 + 8 + text.size() + 8 + binary_.size();
  if (total > kMaxBytes) return absl::InvalidArgumentError("the scene does not fit in a GLB file of 4 GiB");
  std::string out = "glTF";
  put_u32(out, 2);
  put_u32(out, static_cast<uint32_t>(total));
  put_u32(out, static_cast<uint32_t>(text.size()));
  out += "JSON" + text;
  put_u32(out, static_cast<uint32_t>(binary_.size()));
  out += std::string("BIN\0", 4) + binary_;
  return out;
}

Result<std::string> GlbWriter::write() {
  if (options_.texture_quality < 1 || options_.texture_quality > 100) {
    return absl::InvalidArgumentError(absl::StrCat("texture_quality ", options_.texture_quality, " must be 1..100"));
  }
  ESP_TRY(validate(scene_));
  if (face_count(scene_) == 0) return absl::InvalidArgumentError("the scene has no triangles");
  const uint64_t estimate = vertex_count(scene_) * 48 + face_count(scene_) * 12;
  if (estimate > kMaxBytes) return absl::InvalidArgumentError("the scene does not fit in a GLB file of 4 GiB");
  json_["asset"] = {{"generator", options_.generator}, {"version", "2.0"}};
  json_["scene"] = 0;
  json_["scenes"] = Json::array({Json::object()});
  for (const Mesh& mesh : scene_.meshes) add_mesh(mesh);
  add_materials();
  if (!embedded_.empty()) ESP_TRY(add_images());
  return container();
}

}  // namespace

Result<std::string> write_glb(const Scene& scene, const GlbOptions& options) {
  return GlbWriter(scene, options).write();
}

}  // namespace espalier::mesh
