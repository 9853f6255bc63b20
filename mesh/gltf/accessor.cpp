#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "mesh/gltf/document.h"

// Accessors: typed rows in a buffer view, with optional sparse replacements.
namespace espalier::mesh::internal {
namespace {

constexpr int kByte = 5120, kUnsignedByte = 5121, kShort = 5122, kUnsignedShort = 5123, kUnsignedInt = 5125,
              kFloat = 5126;

size_t component_size(int64_t type) {
  switch (type) {
    case kByte:
    case kUnsignedByte:
      return 1;
    case kShort:
    case kUnsignedShort:
      return 2;
    case kUnsignedInt:
    case kFloat:
      return 4;
    default:
      return 0;
  }
}

size_t type_width(const std::string& type) {
  if (type == "SCALAR") return 1;
  if (type == "VEC2") return 2;
  if (type == "VEC3") return 3;
  if (type == "VEC4") return 4;
  if (type == "MAT4") return 16;
  return 0;
}

uint32_t load(const char* bytes, size_t size) {
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

float to_float(const char* bytes, int type, bool normalized) {
  const uint32_t bits = load(bytes, component_size(type));
  switch (type) {
    case kByte: {
      const float v = static_cast<int8_t>(bits);
      return normalized ? std::max(v / 127.0f, -1.0f) : v;
    }
    case kUnsignedByte:
      return normalized ? static_cast<float>(bits) / 255.0f : static_cast<float>(bits);
    case kShort: {
      const float v = static_cast<int16_t>(bits);
      return normalized ? std::max(v / 32767.0f, -1.0f) : v;
    }
    case kUnsignedShort:
      return normalized ? static_cast<float>(bits) / 65535.0f : static_cast<float>(bits);
    case kUnsignedInt:
      return static_cast<float>(bits);
    default:
      return std::bit_cast<float>(bits);
  }
}

}  // namespace

Result<Document::View> Document::view(int64_t index) const {
  ESP_ASSIGN(const Json* entry, item("bufferViews", index));
  constexpr int64_t kHuge = int64_t{1} << 40;
  ESP_ASSIGN(const int64_t buffer, int_member(*entry, "buffer", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t offset, int_member(*entry, "byteOffset", 0, 0, kHuge));
  ESP_ASSIGN(const int64_t length, int_member(*entry, "byteLength", -1, 0, kHuge));
  ESP_ASSIGN(const int64_t stride, int_member(*entry, "byteStride", 0, 1, 252));
  if (buffer < 0 || buffer >= static_cast<int64_t>(buffers_.size())) {
    return gltf_error(absl::StrCat("bufferViews[", index, "]: buffer ", buffer, " does not exist"));
  }
  const std::string_view bytes = buffers_[static_cast<size_t>(buffer)];
  if (length < 0 || static_cast<uint64_t>(offset) > bytes.size() ||
      static_cast<uint64_t>(length) > bytes.size() - static_cast<uint64_t>(offset)) {
    const Json* extensions = member(*entry, "extensions");
    if (extensions != nullptr && member(*extensions, "EXT_meshopt_compression") != nullptr) {
      return import_error(ImportError::kUnsupportedFeature, "EXT_meshopt_compression without a fallback buffer");
    }
    return gltf_error(absl::StrCat("bufferViews[", index, "] lies outside its buffer"));
  }
  return View{bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(length)), static_cast<size_t>(stride)};
}

Result<Document::Layout> Document::layout(const Json& accessor) const {
  Layout out;
  const int64_t highest = static_cast<int64_t>(3 * std::max(limits_.max_faces, limits_.max_vertices));
  const Json* count = member(accessor, "count");
  if (count != nullptr && count->is_number() && count->get<double>() > static_cast<double>(highest)) {
    return import_error(ImportError::kTooManyFaces, "an accessor has more rows than the limits allow");
  }
  ESP_ASSIGN(const int64_t rows, int_member(accessor, "count", -1, 1, highest));
  ESP_ASSIGN(const int64_t type, int_member(accessor, "componentType", 0, kByte, kFloat));
  out.width = type_width(string_member(accessor, "type"));
  out.component_bytes = component_size(type);
  if (rows < 1 || out.width == 0 || out.component_bytes == 0) {
    return gltf_error("an accessor has no valid count, type or componentType");
  }
  out.count = static_cast<uint64_t>(rows);
  out.component_type = static_cast<int>(type);
  const Json* normalized = member(accessor, "normalized");
  out.normalized = normalized != nullptr && normalized->is_boolean() && normalized->get<bool>();
  return out;
}

Result<Document::View> Document::rows(int64_t view_index, int64_t offset, const Layout& layout,
                                      bool allow_stride) const {
  ESP_ASSIGN(View out, view(view_index));
  const size_t row = layout.width * layout.component_bytes;
  if (out.stride == 0 || !allow_stride) out.stride = row;
  if (out.stride < row) return gltf_error("a buffer view's stride is shorter than its rows");
  const uint64_t needed = static_cast<uint64_t>(offset) + uint64_t{out.stride} * (layout.count - 1) + row;
  if (needed > out.bytes.size()) {
    return gltf_error(absl::StrCat("an accessor needs ", needed, " bytes of a view of ", out.bytes.size()));
  }
  out.bytes.remove_prefix(static_cast<size_t>(offset));
  return out;
}

Result<uint64_t> Document::accessor_count(int64_t index) const {
  ESP_ASSIGN(const Json* accessor, item("accessors", index));
  ESP_ASSIGN(const Layout shape, layout(*accessor));
  ESP_ASSIGN(const int64_t view_index, int_member(*accessor, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t offset, int_member(*accessor, "byteOffset", 0, 0, int64_t{1} << 40));
  if (view_index >= 0) {
    ESP_ASSIGN([[maybe_unused]] const View checked, rows(view_index, offset, shape, /*allow_stride=*/true));
  } else if (shape.count > limits_.max_vertices) {
    return import_error(ImportError::kTooManyFaces, "an accessor without data has more rows than the limits allow");
  }
  return shape.count;
}

Result<Values> Document::read_floats(int64_t index, std::initializer_list<size_t> widths) const {
  ESP_ASSIGN(const Json* accessor, item("accessors", index));
  ESP_ASSIGN(const uint64_t count, accessor_count(index));
  ESP_ASSIGN(const Layout shape, layout(*accessor));
  if (std::find(widths.begin(), widths.end(), shape.width) == widths.end()) {
    return gltf_error(absl::StrCat("accessors[", index, "] has ", shape.width, " components per row"));
  }
  Values out;
  out.count = static_cast<size_t>(count);
  out.width = shape.width;
  out.component_type = shape.component_type;
  out.data.resize(out.count * out.width);
  ESP_ASSIGN(const int64_t view_index, int_member(*accessor, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t offset, int_member(*accessor, "byteOffset", 0, 0, int64_t{1} << 40));
  if (view_index >= 0) {
    ESP_ASSIGN(const View source, rows(view_index, offset, shape, /*allow_stride=*/true));
    for (size_t r = 0; r < out.count; ++r) {
      for (size_t c = 0; c < out.width; ++c) {
        const char* at = source.bytes.data() + r * source.stride + c * shape.component_bytes;
        out.data[r * out.width + c] = to_float(at, shape.component_type, shape.normalized);
      }
    }
  }
  ESP_TRY(apply_sparse(*accessor, shape, out));
  return out;
}

Status Document::apply_sparse(const Json& accessor, const Layout& shape, Values& values) const {
  const Json* sparse = member(accessor, "sparse");
  if (sparse == nullptr) return absl::OkStatus();
  const Json* where = member(*sparse, "indices");
  const Json* what = member(*sparse, "values");
  if (where == nullptr || what == nullptr) return gltf_error("a sparse accessor lacks indices or values");
  ESP_ASSIGN(const int64_t count, int_member(*sparse, "count", -1, 1, static_cast<int64_t>(shape.count)));
  ESP_ASSIGN(const int64_t index_type, int_member(*where, "componentType", 0, kByte, kUnsignedInt));
  if (count < 1 || (index_type != kUnsignedByte && index_type != kUnsignedShort && index_type != kUnsignedInt)) {
    return gltf_error("a sparse accessor has no valid count or index type");
  }
  const auto rows_count = static_cast<uint64_t>(count);
  const Layout index_layout{rows_count, 1, component_size(index_type), static_cast<int>(index_type), false};
  const Layout value_layout{rows_count, shape.width, shape.component_bytes, shape.component_type, shape.normalized};
  constexpr int64_t kHuge = int64_t{1} << 40;
  ESP_ASSIGN(const int64_t index_view, int_member(*where, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t index_offset, int_member(*where, "byteOffset", 0, 0, kHuge));
  ESP_ASSIGN(const int64_t value_view, int_member(*what, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t value_offset, int_member(*what, "byteOffset", 0, 0, kHuge));
  ESP_ASSIGN(const View indices, rows(index_view, index_offset, index_layout, /*allow_stride=*/false));
  ESP_ASSIGN(const View data, rows(value_view, value_offset, value_layout, /*allow_stride=*/false));
  for (size_t i = 0; i < rows_count; ++i) {
    const uint32_t row = load(indices.bytes.data() + i * indices.stride, index_layout.component_bytes);
    if (row >= values.count) return gltf_error("a sparse index is out of range");
    for (size_t c = 0; c < shape.width; ++c) {
      const char* at = data.bytes.data() + i * data.stride + c * shape.component_bytes;
      values.data[row * shape.width + c] = to_float(at, shape.component_type, shape.normalized);
    }
  }
  return absl::OkStatus();
}

Result<std::vector<uint32_t>> Document::read_indices(int64_t index) const {
  ESP_ASSIGN(const Json* accessor, item("accessors", index));
  ESP_ASSIGN(const Layout shape, layout(*accessor));
  const bool unsigned_type = shape.component_type == kUnsignedByte || shape.component_type == kUnsignedShort ||
                             shape.component_type == kUnsignedInt;
  if (shape.width != 1 || !unsigned_type) return gltf_error("indices must be unsigned scalars");
  if (member(*accessor, "sparse") != nullptr) {
    return import_error(ImportError::kUnsupportedFeature, "sparse face indices");
  }
  ESP_ASSIGN(const int64_t view_index, int_member(*accessor, "bufferView", -1, 0, INT32_MAX));
  ESP_ASSIGN(const int64_t offset, int_member(*accessor, "byteOffset", 0, 0, int64_t{1} << 40));
  ESP_ASSIGN(const View source, rows(view_index, offset, shape, /*allow_stride=*/true));
  std::vector<uint32_t> out(static_cast<size_t>(shape.count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = load(source.bytes.data() + i * source.stride, shape.component_bytes);
  return out;
}

}  // namespace espalier::mesh::internal
