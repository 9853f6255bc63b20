#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/import_internal.h"

// The JSON and the buffers of one glTF file, with every access checked. Not for other folders.
namespace espalier::mesh::internal {

using Json = nlohmann::json;

Status gltf_error(const std::string& what);  // UNREADABLE

// Members with a default when absent; UNREADABLE when of another type or out of range.
const Json* member(const Json& object, const char* key);  // null when absent or not an object
Result<int64_t> int_member(const Json& object, const char* key, int64_t fallback, int64_t lowest, int64_t highest);
Result<double> number_member(const Json& object, const char* key, double fallback);
std::string string_member(const Json& object, const char* key);
// Exactly `count` finite numbers, or `fallback` when absent.
Result<std::vector<double>> numbers_member(const Json& object, const char* key, size_t count,
                                           std::vector<double> fallback);

// Values of an accessor: `count` rows of `width` numbers, normalised integers already divided.
struct Values {
  size_t count = 0;
  size_t width = 0;
  std::vector<float> data;
  int component_type = 0;  // glTF constant, 5120..5126
};

class Document {
 public:
  // `bytes` must outlive the document (the binary chunk is a view).
  static Result<Document> open(std::string_view bytes, bool binary, const Companions& companions,
                               const ImportLimits& limits);

  const Json& json() const { return json_; }
  // Entry of a top-level array. UNREADABLE: out of range.
  Result<const Json*> item(const char* array, int64_t index) const;
  size_t size(const char* array) const;

  // Rows the accessor has; its extent is checked against its buffer.
  Result<uint64_t> accessor_count(int64_t accessor) const;
  // `widths`: the allowed components per row, e.g. {3, 4}.
  Result<Values> read_floats(int64_t accessor, std::initializer_list<size_t> widths) const;
  Result<std::vector<uint32_t>> read_indices(int64_t accessor) const;
  // The encoded bytes of an image, from a buffer view, a data URI or a companion.
  Result<std::string> image_bytes(int64_t image, const Companions& companions) const;

 private:
  struct View {
    std::string_view bytes;
    size_t stride = 0;  // 0: packed
  };
  struct Layout {  // of an accessor's rows
    uint64_t count = 0;
    size_t width = 0, component_bytes = 0;
    int component_type = 0;
    bool normalized = false;
  };

  Status split_container(std::string_view bytes, bool binary, std::string_view& text);
  Status check_version() const;
  Status load_buffers(const Companions& companions);
  Result<View> view(int64_t index) const;
  Result<Layout> layout(const Json& accessor) const;
  // Bytes of `count` rows from `offset` in a view; UNREADABLE when they do not fit.
  Result<View> rows(int64_t view_index, int64_t offset, const Layout& layout, bool allow_stride) const;
  Status apply_sparse(const Json& accessor, const Layout& layout, Values& values) const;

  Json json_;
  std::string_view chunk_;            // binary chunk of a .glb
  std::vector<std::string> storage_;  // buffers that are not the chunk
  std::vector<std::string_view> buffers_;
  ImportLimits limits_;
};

}  // namespace espalier::mesh::internal
