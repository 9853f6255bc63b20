#include "mesh/gltf/materials.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"

namespace espalier::mesh::internal {
namespace {

constexpr int kNearest = 9728, kNearestMipmapNearest = 9984, kNearestMipmapLinear = 9986;
constexpr int kClampToEdge = 33071, kMirroredRepeat = 33648;

Wrap wrap_mode(int64_t value) {
  if (value == kClampToEdge) return Wrap::kClamp;
  return value == kMirroredRepeat ? Wrap::kMirror : Wrap::kRepeat;
}

bool is_nearest(int64_t filter) {
  return filter == kNearest || filter == kNearestMipmapNearest || filter == kNearestMipmapLinear;
}

class MaterialReader {
 public:
  MaterialReader(const Document& document, const Companions& companions, TextureStore& textures, Scene& scene)
      : document_(document), companions_(companions), textures_(textures), scene_(scene) {}

  Status read(const Json& json, Material& material, UvMapping& mapping);

 private:
  struct Slot {
    std::optional<Texture> texture;
    UvMapping mapping;
  };

  Result<Slot> slot(const Json& owner, const char* key);
  Result<int64_t> image_of(const Json& texture) const;
  Status sampler(const Json& texture, Texture& out) const;
  Status metallic_roughness(const Json& json, Material& material);
  Status specular_glossiness(const Json& json, Material& material);
  Status alpha(const Json& json, Material& material);
  std::optional<Texture> roughness_from_glossiness(const Texture& specular, double glossiness);
  void note(const Slot& slot);

  const Document& document_;
  const Companions& companions_;
  TextureStore& textures_;
  Scene& scene_;
  std::optional<UvMapping> mapping_;  // of the material being read
  bool mixed_ = false;
};

Result<int64_t> MaterialReader::image_of(const Json& texture) const {
  if (const Json* extensions = member(texture, "extensions")) {
    if (const Json* webp = member(*extensions, "EXT_texture_webp")) {
      return int_member(*webp, "source", -1, 0, INT32_MAX);
    }
    if (member(*extensions, "KHR_texture_basisu") != nullptr && member(texture, "source") == nullptr) {
      return import_error(ImportError::kUnsupportedFeature, "KHR_texture_basisu textures");
    }
  }
  return int_member(texture, "source", -1, 0, INT32_MAX);
}

Status MaterialReader::sampler(const Json& texture, Texture& out) const {
  ESP_ASSIGN(const int64_t index, int_member(texture, "sampler", -1, 0, INT32_MAX));
  if (index < 0) return absl::OkStatus();
  ESP_ASSIGN(const Json* entry, document_.item("samplers", index));
  ESP_ASSIGN(const int64_t u, int_member(*entry, "wrapS", 0, 0, 65535));
  ESP_ASSIGN(const int64_t v, int_member(*entry, "wrapT", 0, 0, 65535));
  ESP_ASSIGN(const int64_t mag, int_member(*entry, "magFilter", -1, 0, 65535));
  ESP_ASSIGN(const int64_t min, int_member(*entry, "minFilter", -1, 0, 65535));
  out.wrap_u = wrap_mode(u);
  out.wrap_v = wrap_mode(v);
  const bool given = mag >= 0 || min >= 0;
  const bool nearest = given && (mag < 0 || is_nearest(mag)) && (min < 0 || is_nearest(min));
  out.filter = nearest ? Filter::kNearest : Filter::kLinear;
  return absl::OkStatus();
}

Result<MaterialReader::Slot> MaterialReader::slot(const Json& owner, const char* key) {
  Slot out;
  const Json* info = member(owner, key);
  if (info == nullptr) return out;
  ESP_ASSIGN(const int64_t index, int_member(*info, "index", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t set, int_member(*info, "texCoord", 0, 0, 7));
  out.mapping.set = static_cast<int>(set);
  const Json* extensions = member(*info, "extensions");
  const Json* transform = extensions == nullptr ? nullptr : member(*extensions, "KHR_texture_transform");
  if (transform != nullptr) {
    ESP_ASSIGN(const int64_t replaced, int_member(*transform, "texCoord", set, 0, 7));
    ESP_ASSIGN(const auto offset, numbers_member(*transform, "offset", 2, {0, 0}));
    ESP_ASSIGN(const auto scale, numbers_member(*transform, "scale", 2, {1, 1}));
    ESP_ASSIGN(out.mapping.rotation, number_member(*transform, "rotation", 0));
    out.mapping.set = static_cast<int>(replaced);
    std::copy(offset.begin(), offset.end(), out.mapping.offset);
    std::copy(scale.begin(), scale.end(), out.mapping.scale);
  }
  ESP_ASSIGN(const Json* texture, document_.item("textures", index));
  ESP_ASSIGN(const int64_t image, image_of(*texture));
  Texture value;
  ESP_TRY(sampler(*texture, value));
  if (image < 0) return out;
  const std::string name = absl::StrCat("image ", image);
  Result<std::string> bytes = std::string();
  if (!textures_.known(name)) bytes = document_.image_bytes(image, companions_);
  if (!bytes.ok() && bytes.status().code() == absl::StatusCode::kDataLoss) return bytes.status();
  value.image = textures_.add(name, bytes);
  if (value.image >= 0) out.texture = value;
  note(out);
  return out;
}

void MaterialReader::note(const Slot& used) {
  if (!used.texture) return;
  if (!mapping_) mapping_ = used.mapping;
  mixed_ = mixed_ || !(*mapping_ == used.mapping);
}

Status MaterialReader::metallic_roughness(const Json& json, Material& material) {
  static const Json kEmpty = Json::object();
  const Json* found = member(json, "pbrMetallicRoughness");
  const Json& pbr = found == nullptr ? kEmpty : *found;
  ESP_ASSIGN(const auto color, numbers_member(pbr, "baseColorFactor", 4, {1, 1, 1, 1}));
  for (int a = 0; a < 3; ++a) material.base_color[a] = static_cast<float>(color[a]);
  material.alpha = static_cast<float>(color[3]);
  ESP_ASSIGN(const double metallic, number_member(pbr, "metallicFactor", 1));
  ESP_ASSIGN(const double roughness, number_member(pbr, "roughnessFactor", 1));
  material.metallic = static_cast<float>(std::clamp(metallic, 0.0, 1.0));
  material.roughness = static_cast<float>(std::clamp(roughness, 0.0, 1.0));
  ESP_ASSIGN(const Slot base, slot(pbr, "baseColorTexture"));
  material.base_color_texture = base.texture;
  ESP_ASSIGN(const Slot packed, slot(pbr, "metallicRoughnessTexture"));
  if (packed.texture && scene_.images[packed.texture->image].channels >= 3) {
    material.metallic_texture = material.roughness_texture = packed.texture;
    material.metallic_texture->channel = 2;
    material.roughness_texture->channel = 1;
  } else if (packed.texture) {  // grey: all channels are equal
    material.metallic_texture = material.roughness_texture = packed.texture;
  }
  return absl::OkStatus();
}

// Glossiness is the alpha of the specular texture; roughness is one minus it.
std::optional<Texture> MaterialReader::roughness_from_glossiness(const Texture& specular, double glossiness) {
  const image::Image& source = scene_.images[specular.image];
  if (source.channels != 4) return std::nullopt;
  image::Image rough{source.width, source.height, 1, {}};
  rough.pixels.resize(source.pixels.size() / 4);
  for (size_t i = 0; i < rough.pixels.size(); ++i) {
    const double value = 255 - glossiness * source.pixels[i * 4 + 3];
    rough.pixels[i] = static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
  }
  Texture out = specular;
  out.image = textures_.add_pixels(absl::StrCat("roughness of ", specular.image, " x ", glossiness), std::move(rough));
  if (out.image < 0) return std::nullopt;
  return out;
}

Status MaterialReader::specular_glossiness(const Json& json, Material& material) {
  ESP_ASSIGN(const auto color, numbers_member(json, "diffuseFactor", 4, {1, 1, 1, 1}));
  for (int a = 0; a < 3; ++a) material.base_color[a] = static_cast<float>(color[a]);
  material.alpha = static_cast<float>(color[3]);
  ESP_ASSIGN(const double glossiness, number_member(json, "glossinessFactor", 1));
  material.metallic = 0;
  material.roughness = static_cast<float>(std::clamp(1 - glossiness, 0.0, 1.0));
  ESP_ASSIGN(const Slot diffuse, slot(json, "diffuseTexture"));
  material.base_color_texture = diffuse.texture;
  ESP_ASSIGN(const Slot specular, slot(json, "specularGlossinessTexture"));
  material.metallic_texture.reset();
  material.roughness_texture.reset();
  if (specular.texture) material.roughness_texture = roughness_from_glossiness(*specular.texture, glossiness);
  if (material.roughness_texture) material.roughness = 1;
  return absl::OkStatus();
}

Status MaterialReader::alpha(const Json& json, Material& material) {
  const std::string mode = string_member(json, "alphaMode");
  ESP_ASSIGN(const double cutoff, number_member(json, "alphaCutoff", 0.5));
  material.alpha_cutoff = static_cast<float>(cutoff);
  if (mode == "BLEND") material.alpha_mode = AlphaMode::kBlend;
  if (mode == "MASK" && cutoff > 0) material.alpha_mode = AlphaMode::kMask;
  if (material.alpha_mode == AlphaMode::kOpaque) {
    material.alpha = 1;
  } else if (material.base_color_texture && scene_.images[material.base_color_texture->image].channels == 4) {
    material.alpha_texture = material.base_color_texture;
    material.alpha_texture->channel = 3;
  }
  return absl::OkStatus();
}

Status MaterialReader::read(const Json& json, Material& material, UvMapping& mapping) {
  mapping_.reset();
  mixed_ = false;
  material.name = string_member(json, "name").substr(0, 256);
  const Json* extensions = member(json, "extensions");
  const Json* glossy = extensions == nullptr ? nullptr : member(*extensions, "KHR_materials_pbrSpecularGlossiness");
  if (glossy != nullptr) {
    ESP_TRY(specular_glossiness(*glossy, material));
  } else {
    ESP_TRY(metallic_roughness(json, material));
  }
  material.unlit = extensions != nullptr && member(*extensions, "KHR_materials_unlit") != nullptr;
  if (material.unlit) {
    material.metallic = 0;
    material.roughness = 1;
    material.metallic_texture.reset();
    material.roughness_texture.reset();
  }
  ESP_TRY(alpha(json, material));
  ESP_ASSIGN(const auto emissive, numbers_member(json, "emissiveFactor", 3, {0, 0, 0}));
  double strength = 1;
  if (const Json* e = extensions == nullptr ? nullptr : member(*extensions, "KHR_materials_emissive_strength")) {
    ESP_ASSIGN(strength, number_member(*e, "emissiveStrength", 1));
  }
  for (int a = 0; a < 3; ++a) material.emissive[a] = static_cast<float>(emissive[a] * strength);
  ESP_ASSIGN(const Slot glow, slot(json, "emissiveTexture"));
  material.emissive_texture = glow.texture;
  ESP_ASSIGN(const Slot normal, slot(json, "normalTexture"));
  material.normal_texture = normal.texture;
  const Json* sides = member(json, "doubleSided");
  material.double_sided = sides != nullptr && sides->is_boolean() && sides->get<bool>();
  if (mapping_) mapping = *mapping_;
  if (mixed_) {
    warn(scene_, absl::StrCat("material \"", material.name, "\": its textures use different uv mappings; one is used"));
  }
  return absl::OkStatus();
}

}  // namespace

Status read_gltf_materials(const Document& document, const Companions& companions, TextureStore& textures, Scene& scene,
                           std::vector<UvMapping>& mappings) {
  MaterialReader reader(document, companions, textures, scene);
  const size_t count = document.size("materials");
  scene.materials.resize(count);
  mappings.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Status status = reader.read(document.json()["materials"][i], scene.materials[i], mappings[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace espalier::mesh::internal
