#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/status.h"
#include "mesh/scene.h"

// Reading of 3D files made by other people's tools.
//
// Formats: .glb .gltf .obj .ply .stl (own readers) and .fbx (Assimp). The content must agree with the extension.
// Y-up formats (glTF, OBJ, FBX by its header) come out Z up: (x, y, z) -> (x, -z, y); PLY and STL are taken as they
// are. Node transforms are applied, instances expanded, polygons, strips and fans triangulated. Normals are present
// only where the file has them. Skins and morph targets of glTF are evaluated at the rest pose; animations are not
// applied. Units are kept: see normalize.h.
//
// Files are hostile: every size is checked before it is allocated, and companions (buffers, images, MTL) are opened
// only inside `ImportOptions::root`, never by an absolute path, a scheme or a symbolic link leaving it.
namespace espalier::mesh {

// Why an asset was refused. Every error of import_scene carries one: its message starts with the name and a colon,
// e.g. "EMPTY_MESH: scene.glb: no triangles".
enum class ImportError {
  kUnreadable,          // UNREADABLE: broken or hostile file (DATA_LOSS)
  kUnsupportedFeature,  // UNSUPPORTED_FEATURE: a valid file that needs something not read here (INVALID_ARGUMENT)
  kEmptyMesh,           // EMPTY_MESH: no triangles, or no extent (INVALID_ARGUMENT)
  kNonfiniteGeometry,   // NONFINITE_GEOMETRY: NaN, infinity or |x| > 1e9 in positions (INVALID_ARGUMENT)
  kTooManyFaces,        // TOO_MANY_FACES: over a limit of ImportLimits (RESOURCE_EXHAUSTED)
  kMissingCompanion,    // MISSING_COMPANION: a buffer or MTL beside the file is absent (NOT_FOUND)
};

std::string_view import_error_name(ImportError error);

// The name in front of the message ("UNREADABLE", ...), or "UNREADABLE" when the status carries none.
std::string_view import_error_code(const Status& status);

struct ImportLimits {
  uint64_t max_faces = 20'000'000;     // after instancing
  uint64_t max_vertices = 20'000'000;  // after instancing
  uint32_t max_nodes = 100'000;
  uint32_t max_depth = 256;
  uint32_t max_materials = 4096;
  uint32_t max_images = 1024;
  uint64_t max_file_bytes = uint64_t{2} << 30;    // the file or one companion
  uint64_t max_image_bytes = uint64_t{64} << 20;  // one encoded texture
  int max_image_side = 8192;                      // pixels
  uint64_t max_total_pixels = uint64_t{1} << 29;  // all decoded textures together
};

struct ImportOptions {
  // The folder that companions may be read from; empty: the file's own folder.
  std::filesystem::path root;
  ImportLimits limits;
};

// Reads one asset. Images that are missing or broken are dropped with a warning (Scene::warnings); geometry is not.
Result<Scene> import_scene(const std::filesystem::path& file, const ImportOptions& options = {});

}  // namespace espalier::mesh
