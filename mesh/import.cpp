#include "mesh/import.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "mesh/import_internal.h"

namespace espalier::mesh {
namespace {

using internal::import_error;

enum class Format { kGlb, kGltf, kObj, kPly, kStl, kFbx, kBlend, kUnknown };

std::string lower_extension(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

Format format_of_name(const std::filesystem::path& file) {
  const std::string extension = lower_extension(file);
  if (extension == ".glb") return Format::kGlb;
  if (extension == ".gltf") return Format::kGltf;
  if (extension == ".obj") return Format::kObj;
  if (extension == ".ply") return Format::kPly;
  if (extension == ".stl") return Format::kStl;
  if (extension == ".fbx") return Format::kFbx;
  if (extension == ".blend") return Format::kBlend;
  return Format::kUnknown;
}

uint32_t little_u32(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

bool is_binary_stl(std::string_view bytes) {
  return bytes.size() >= 84 && 84 + uint64_t{50} * little_u32(bytes, 80) == bytes.size();
}

// OBJ has no magic: text without NUL, whose first lines are not another format's.
bool is_obj_text(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 4096);
  return head.find('\0') == std::string_view::npos && !head.starts_with("ply") && !head.starts_with("solid ");
}

bool content_agrees(Format format, std::string_view bytes) {
  const std::string_view head = internal::trim(bytes.substr(0, 1024));
  switch (format) {
    case Format::kGlb:
      return bytes.size() >= 12 && bytes.starts_with("glTF") && little_u32(bytes, 4) == 2 &&
             little_u32(bytes, 8) == bytes.size();
    case Format::kGltf:
      return head.starts_with("{") || head.starts_with("\xEF\xBB\xBF{");
    case Format::kPly:
      return bytes.starts_with("ply\n") || bytes.starts_with("ply\r");
    case Format::kStl:
      return is_binary_stl(bytes) || head.starts_with("solid");
    case Format::kFbx:
      return bytes.starts_with("Kaydara FBX Binary") || head.starts_with("; FBX");
    case Format::kObj:
      return is_obj_text(bytes);
    case Format::kBlend:
    case Format::kUnknown:
      break;
  }
  return false;
}

Result<Scene> read_format(Format format, std::string_view bytes, const internal::Companions& companions,
                          const ImportLimits& limits) {
  switch (format) {
    case Format::kGlb:
      return internal::import_gltf(bytes, /*binary=*/true, companions, limits);
    case Format::kGltf:
      return internal::import_gltf(bytes, /*binary=*/false, companions, limits);
    case Format::kObj:
      return internal::import_obj(bytes, companions, limits);
    case Format::kPly:
      return internal::import_ply(bytes, limits);
    case Format::kStl:
      return internal::import_stl(bytes, limits);
    case Format::kFbx:
      return internal::import_fbx(bytes, companions, limits);
    case Format::kBlend:
    case Format::kUnknown:
      break;
  }
  return import_error(ImportError::kUnsupportedFeature, "no reader for this format");
}

// What no reader may hand on, checked once for all of them.
Status check_result(const Scene& scene, const ImportLimits& limits) {
  ESP_TRY(internal::check_counts(face_count(scene), vertex_count(scene), limits));
  if (face_count(scene) == 0) return import_error(ImportError::kEmptyMesh, "no triangles");
  for (const Mesh& mesh : scene.meshes) {
    for (const Vec3& p : mesh.positions) {
      if (!internal::usable_position(p)) {
        return import_error(ImportError::kNonfiniteGeometry,
                            absl::StrCat("mesh \"", mesh.name, "\": a coordinate is not a number within 1e9"));
      }
    }
  }
  const Status valid = validate(scene);
  if (!valid.ok()) return import_error(ImportError::kUnreadable, std::string(valid.message()));
  return absl::OkStatus();
}

// "CODE: message" -> "CODE: file: message".
Status with_file(const Status& status, const std::filesystem::path& file) {
  if (status.ok()) return status;
  const std::string message(status.message());
  const std::string code(import_error_code(status));
  const std::string rest = message.starts_with(code + ": ") ? message.substr(code.size() + 2) : message;
  return Status(status.code(), absl::StrCat(code, ": ", file.filename().string(), ": ", rest));
}

Result<Scene> import_file(const std::filesystem::path& file, const ImportOptions& options) {
  const Format format = format_of_name(file);
  if (format == Format::kBlend) {
    return import_error(ImportError::kUnsupportedFeature, ".blend files need an external Blender");
  }
  if (format == Format::kUnknown) {
    return import_error(
        ImportError::kUnsupportedFeature,
        absl::StrCat("extension \"", lower_extension(file), "\" is not one of .glb .gltf .obj .ply .stl .fbx"));
  }
  auto bytes = read_file(file, options.limits.max_file_bytes);
  if (!bytes.ok()) return import_error(ImportError::kUnreadable, std::string(bytes.status().message()));
  if (!content_agrees(format, *bytes)) {
    return import_error(ImportError::kUnreadable,
                        absl::StrCat("the content is not a whole ", lower_extension(file), " file"));
  }
  const internal::Companions companions(file, options);
  ESP_ASSIGN(Scene scene, read_format(format, *bytes, companions, options.limits));
  ESP_TRY(check_result(scene, options.limits));
  return scene;
}

}  // namespace

Result<Scene> import_scene(const std::filesystem::path& file, const ImportOptions& options) {
  auto scene = import_file(file, options);
  if (!scene.ok()) return with_file(scene.status(), file);
  return scene;
}

std::string_view import_error_name(ImportError error) {
  switch (error) {
    case ImportError::kUnreadable:
      return "UNREADABLE";
    case ImportError::kUnsupportedFeature:
      return "UNSUPPORTED_FEATURE";
    case ImportError::kEmptyMesh:
      return "EMPTY_MESH";
    case ImportError::kNonfiniteGeometry:
      return "NONFINITE_GEOMETRY";
    case ImportError::kTooManyFaces:
      return "TOO_MANY_FACES";
    case ImportError::kMissingCompanion:
      return "MISSING_COMPANION";
  }
  return "UNREADABLE";
}

std::string_view import_error_code(const Status& status) {
  const std::string message(status.message());
  for (const ImportError error :
       {ImportError::kUnreadable, ImportError::kUnsupportedFeature, ImportError::kEmptyMesh,
        ImportError::kNonfiniteGeometry, ImportError::kTooManyFaces, ImportError::kMissingCompanion}) {
    if (message.starts_with(std::string(import_error_name(error)) + ":")) return import_error_name(error);
  }
  return import_error_name(ImportError::kUnreadable);
}

}  // namespace espalier::mesh
