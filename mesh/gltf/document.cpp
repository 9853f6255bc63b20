#include "mesh/gltf/document.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace espalier::mesh::internal {
namespace {

constexpr size_t kMaxJsonBytes = size_t{128} << 20;
constexpr uint32_t kJsonChunk = 0x4E4F534A, kBinaryChunk = 0x004E4942;

// Extensions whose data may be required by a file that can still be read.
constexpr std::string_view kReadable[] = {"KHR_materials_unlit",        "KHR_materials_pbrSpecularGlossiness",
                                          "KHR_texture_transform",      "KHR_materials_emissive_strength",
                                          "KHR_mesh_quantization",      "EXT_texture_webp",
                                          "KHR_materials_ior",          "KHR_materials_specular",
                                          "KHR_materials_transmission", "KHR_materials_clearcoat",
                                          "KHR_materials_sheen",        "KHR_materials_volume",
                                          "KHR_materials_iridescence",  "KHR_materials_anisotropy",
                                          "KHR_materials_dispersion",   "KHR_lights_punctual",
                                          "KHR_materials_variants",     "KHR_xmp_json_ld",
                                          "KHR_animation_pointer"};

uint32_t little_u32(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

}  // namespace

Status gltf_error(const std::string& what) { return import_error(ImportError::kUnreadable, what); }

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

Result<int64_t> int_member(const Json& object, const char* key, int64_t fallback, int64_t lowest, int64_t highest) {
  const Json* value = member(object, key);
  if (value == nullptr) return fallback;
  double number = -1;
  if (value->is_number()) number = value->get<double>();
  const bool whole = value->is_number() && number == std::floor(number);
  if (!whole || number < static_cast<double>(lowest) || number > static_cast<double>(highest)) {
    return gltf_error(absl::StrCat("\"", key, "\" must be a whole number in ", lowest, "..", highest));
  }
  return static_cast<int64_t>(number);
}

Result<double> number_member(const Json& object, const char* key, double fallback) {
  const Json* value = member(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    return gltf_error(absl::StrCat("\"", key, "\" must be a number"));
  }
  return value->get<double>();
}

std::string string_member(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

Result<std::vector<double>> numbers_member(const Json& object, const char* key, size_t count,
                                           std::vector<double> fallback) {
  const Json* value = member(object, key);
  if (value == nullptr) return fallback;
  std::vector<double> out;
  if (value->is_array() && value->size() == count) {
    for (const Json& entry : *value) {
      if (entry.is_number() && std::isfinite(entry.get<double>())) out.push_back(entry.get<double>());
    }
  }
  if (out.size() != count) return gltf_error(absl::StrCat("\"", key, "\" must be ", count, " numbers"));
  return out;
}

Status Document::split_container(std::string_view bytes, bool binary, std::string_view& text) {
  text = bytes;
  if (!binary) return absl::OkStatus();
  size_t offset = 12;  // magic, version and length were checked when the format was detected
  text = {};
  for (int chunk = 0; bytes.size() - offset >= 8; ++chunk) {
    const uint64_t length = little_u32(bytes, offset);
    const uint32_t type = little_u32(bytes, offset + 4);
    offset += 8;
    if (length > bytes.size() - offset) return gltf_error("a GLB chunk is longer than the file");
    if (chunk == 0 && type != kJsonChunk) return gltf_error("the first GLB chunk is not JSON");
    if (chunk == 0) text = bytes.substr(offset, length);
    if (chunk == 1 && type == kBinaryChunk) chunk_ = bytes.substr(offset, length);
    offset += length;
  }
  return text.empty() ? gltf_error("the GLB has no JSON chunk") : absl::OkStatus();
}

Status Document::check_version() const {
  const Json* asset = member(json_, "asset");
  const std::string version = asset == nullptr ? "" : string_member(*asset, "version");
  if (version.empty()) return gltf_error("asset.version is missing");
  if (!version.starts_with("2.")) {
    return import_error(ImportError::kUnsupportedFeature, absl::StrCat("glTF ", version, "; 2.x is read"));
  }
  const Json* required = member(json_, "extensionsRequired");
  if (required == nullptr || !required->is_array()) return absl::OkStatus();
  for (const Json& entry : *required) {
    const std::string name = entry.is_string() ? entry.get<std::string>() : "";
    if (std::find(std::begin(kReadable), std::end(kReadable), name) == std::end(kReadable)) {
      return import_error(ImportError::kUnsupportedFeature, absl::StrCat("required glTF extension ", name));
    }
  }
  return absl::OkStatus();
}

Status Document::load_buffers(const Companions& companions) {
  const size_t count = size("buffers");
  if (count > 4096) return gltf_error("more than 4096 buffers");
  storage_.resize(count);
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const Json& buffer = json_["buffers"][i];
    ESP_ASSIGN(const int64_t length, int_member(buffer, "byteLength", 0, 0, int64_t{1} << 40));
    const std::string uri = string_member(buffer, "uri");
    std::string_view bytes;
    if (uri.empty()) {
      if (i == 0) bytes = chunk_;
    } else if (uri.starts_with("data:")) {
      ESP_ASSIGN(storage_[i], decode_data_uri(uri, limits_.max_image_bytes));
      bytes = storage_[i];
    } else {
      ESP_ASSIGN(const std::string path, decode_relative_uri(uri));
      ESP_ASSIGN(storage_[i], companions.read(path, limits_.max_file_bytes - std::min(total, limits_.max_file_bytes)));
      bytes = storage_[i];
    }
    total += storage_[i].size();
    const bool fallback = uri.empty() && bytes.empty();  // content is in an extension; its views fail when read
    if (!fallback && bytes.size() < static_cast<uint64_t>(length)) {
      return gltf_error(absl::StrCat("buffer ", i, " has ", bytes.size(), " bytes, not ", length));
    }
    buffers_.push_back(fallback ? std::string_view() : bytes.substr(0, length));
  }
  return absl::OkStatus();
}

Result<Document> Document::open(std::string_view bytes, bool binary, const Companions& companions,
                                const ImportLimits& limits) {
  Document document;
  document.limits_ = limits;
  std::string_view text;
  ESP_TRY(document.split_container(bytes, binary, text));
  if (text.size() > kMaxJsonBytes) return gltf_error("the JSON is larger than 128 MiB");
  document.json_ = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!document.json_.is_object()) return gltf_error("the JSON is broken");
  ESP_TRY(document.check_version());
  if (document.size("nodes") > limits.max_nodes)
    return gltf_error(absl::StrCat("more than ", limits.max_nodes, " nodes"));
  if (document.size("materials") > limits.max_materials) {
    return gltf_error(absl::StrCat("more than ", limits.max_materials, " materials"));
  }
  if (document.size("images") > limits.max_images || document.size("textures") > 4 * limits.max_images) {
    return gltf_error(absl::StrCat("more than ", limits.max_images, " textures"));
  }
  ESP_TRY(document.load_buffers(companions));
  return document;
}

size_t Document::size(const char* array) const {
  const Json* value = member(json_, array);
  return value != nullptr && value->is_array() ? value->size() : 0;
}

Result<const Json*> Document::item(const char* array, int64_t index) const {
  if (index < 0 || index >= static_cast<int64_t>(size(array))) {
    return gltf_error(absl::StrCat(array, "[", index, "] does not exist"));
  }
  return &json_[array][static_cast<size_t>(index)];
}

Result<std::string> Document::image_bytes(int64_t image, const Companions& companions) const {
  ESP_ASSIGN(const Json* entry, item("images", image));
  const std::string uri = string_member(*entry, "uri");
  if (uri.starts_with("data:")) return decode_data_uri(uri, limits_.max_image_bytes);
  if (!uri.empty()) {
    ESP_ASSIGN(const std::string path, decode_relative_uri(uri));
    return companions.read(path, limits_.max_image_bytes);
  }
  ESP_ASSIGN(const int64_t view_index, int_member(*entry, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const View bytes, view(view_index));
  return std::string(bytes.bytes);
}

}  // namespace espalier::mesh::internal
