#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "mesh/import.h"
#include "mesh/scene.h"

// Shared by the importers; not for other folders.
namespace espalier::mesh::internal {

// "<NAME>: message" with the status code that belongs to the error.
Status import_error(ImportError error, std::string_view message);

// TOO_MANY_FACES when a limit is passed. Called with counts known before anything is allocated.
Status check_counts(uint64_t faces, uint64_t vertices, const ImportLimits& limits);

// Decodes a relative URI reference of glTF once. UNREADABLE: scheme, authority, absolute path, query or fragment,
// NUL, bad or doubled percent escapes.
Result<std::string> decode_relative_uri(std::string_view uri);

// The bytes of a base64 `data:` URI with an image, octet-stream or gltf-buffer type.
Result<std::string> decode_data_uri(std::string_view uri, uint64_t max_bytes);

// Files beside an asset. Nothing outside the root is ever opened.
class Companions {
 public:
  Companions(const std::filesystem::path& file, const ImportOptions& options);

  // `reference` is relative to the asset's folder. UNREADABLE: absolute, or leaves the root. MISSING_COMPANION: absent.
  Result<std::string> read(std::string_view reference, uint64_t max_bytes) const;

  // Whether read_by_name() would find it.
  bool has(std::string_view reference) const;

  // The asset's own file name without its extension.
  const std::string& own_stem() const { return stem_; }

  // For formats that store the author's own paths: backslashes are separators, and a path that is absolute or absent
  // is looked up by its file name alone anywhere under the root, ignoring case.
  Result<std::string> read_by_name(std::string_view reference, uint64_t max_bytes) const;

 private:
  Result<std::filesystem::path> resolve(std::string_view reference) const;
  Result<std::filesystem::path> find(std::string_view reference) const;
  std::filesystem::path find_by_name(std::string_view reference) const;

  std::filesystem::path folder_;
  std::filesystem::path root_;  // canonical
  std::string stem_;
};

// Decodes textures into Scene::images within the limits. A bad image becomes a warning, never an error.
class TextureStore {
 public:
  TextureStore(Scene& scene, const ImportLimits& limits) : scene_(scene), limits_(limits) {}

  // Index of the image, or -1 when it cannot be used. `key` identifies the source: a second add returns the first
  // answer without looking at the bytes.
  int add(const std::string& key, const Result<std::string>& bytes);
  bool known(const std::string& key) const { return by_key_.contains(key); }
  // An image made by the importer itself.
  int add_pixels(const std::string& key, image::Image pixels);

 private:
  Scene& scene_;
  const ImportLimits& limits_;
  std::map<std::string, int> by_key_;
  uint64_t pixels_ = 0;
};

// What positions are kept to: beyond, single precision has no room for a shape.
inline constexpr float kMaxCoordinate = 1e9f;
bool usable_position(const Vec3& position);

// Adds a warning once; the list is bounded.
void warn(Scene& scene, std::string message);

// An affine map in double precision, column-major 4x4 as in glTF.
struct Transform {
  std::array<double, 16> m{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

  Transform operator*(const Transform& right) const;
  std::array<double, 3> point(const std::array<double, 3>& p) const;
  double determinant() const;  // of the linear part
};

// (x, y, z) -> (x, -z, y).
Transform y_up_to_z_up();

// Moves positions and normals in place; a mirroring map also flips the triangles.
void transform_mesh(const Transform& map, Mesh& mesh);

// Gives every mesh's vertices point ids by exact position; `with_normals` also keeps different normals apart.
void weld_points(Mesh& mesh, bool with_normals);

// Next number of a text, after blanks; false at its end or on anything else. Locale-independent.
bool parse_number(std::string_view& text, double& value);
bool parse_integer(std::string_view& text, int64_t& value);
// Next blank-separated word, empty at the end.
std::string_view next_word(std::string_view& text);
std::string_view trim(std::string_view text);
// Without a pair of quotes around it.
std::string_view unquoted(std::string_view text);
// Next line without its end of line; false at the end of the text.
bool next_line(std::string_view& text, std::string_view& line);

Result<Scene> import_gltf(std::string_view bytes, bool binary, const Companions& companions,
                          const ImportLimits& limits);
Result<Scene> import_obj(std::string_view bytes, const Companions& companions, const ImportLimits& limits);
Result<Scene> import_ply(std::string_view bytes, const ImportLimits& limits);
Result<Scene> import_stl(std::string_view bytes, const ImportLimits& limits);
Result<Scene> import_fbx(std::string_view bytes, const Companions& companions, const ImportLimits& limits);

}  // namespace espalier::mesh::internal
