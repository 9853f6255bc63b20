#include "mesh/ply_header.h"

#include <utility>

#include "mesh/import_internal.h"

namespace espalier::mesh::internal::ply {
namespace {

constexpr size_t kMaxElements = 64;
constexpr size_t kMaxProperties = 256;

Status bad_header(const std::string& what) { return import_error(ImportError::kUnreadable, what); }

std::optional<Type> parse_type(std::string_view word) {
  static constexpr std::pair<std::string_view, Type> kNames[] = {
      {"char", Type::kInt8},   {"int8", Type::kInt8},     {"uchar", Type::kUint8},   {"uint8", Type::kUint8},
      {"short", Type::kInt16}, {"int16", Type::kInt16},   {"ushort", Type::kUint16}, {"uint16", Type::kUint16},
      {"int", Type::kInt32},   {"int32", Type::kInt32},   {"uint", Type::kUint32},   {"uint32", Type::kUint32},
      {"float", Type::kFloat}, {"float32", Type::kFloat}, {"double", Type::kDouble}, {"float64", Type::kDouble},
  };
  for (const auto& [name, type] : kNames) {
    if (name == word) return type;
  }
  return std::nullopt;
}

Status parse_property(std::string_view line, Header& header) {
  if (header.elements.empty()) return bad_header("a property comes before the first element");
  Element& element = header.elements.back();
  if (element.properties.size() >= kMaxProperties) return bad_header("an element has more than 256 properties");
  Property property;
  std::string_view word = next_word(line);
  if (word == "list") {
    property.count_type = parse_type(next_word(line));
    if (!property.count_type || *property.count_type >= Type::kFloat)
      return bad_header("a list needs an integer count");
    word = next_word(line);
  }
  const auto type = parse_type(word);
  property.name = std::string(next_word(line));
  if (!type || property.name.empty()) return bad_header("a property line is not understood");
  property.type = *type;
  element.properties.push_back(property);
  return absl::OkStatus();
}

Status parse_header_line(std::string_view line, Header& header) {
  const std::string_view word = next_word(line);
  if (word == "format") {
    const std::string_view name = next_word(line);
    if (name == "ascii") {
      header.encoding = Encoding::kAscii;
    } else if (name == "binary_little_endian") {
      header.encoding = Encoding::kLittle;
    } else if (name == "binary_big_endian") {
      header.encoding = Encoding::kBig;
    } else {
      return bad_header("the format is not ascii or binary");
    }
  } else if (word == "element") {
    Element element;
    element.name = std::string(next_word(line));
    int64_t count = 0;
    if (!parse_integer(line, count) || count < 0) return bad_header("an element count is not a number");
    if (header.elements.size() >= kMaxElements) return bad_header("more than 64 elements");
    element.count = static_cast<uint64_t>(count);
    header.elements.push_back(element);
  } else if (word == "property") {
    return parse_property(line, header);
  }
  return absl::OkStatus();  // comments, obj_info and unknown words
}

// The next line of the header. Old files end their lines with CR alone, which the first line tells: a body may begin
// with any byte.
bool header_line(std::string_view& text, bool cr_alone, std::string_view& line) {
  if (!cr_alone) return next_line(text, line);
  const size_t end = text.find('\r');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return !line.empty() || !text.empty();
}

}  // namespace

size_t size_of(Type type) {
  switch (type) {
    case Type::kInt8:
    case Type::kUint8:
      return 1;
    case Type::kInt16:
    case Type::kUint16:
      return 2;
    case Type::kInt32:
    case Type::kUint32:
    case Type::kFloat:
      return 4;
    case Type::kDouble:
      break;
  }
  return 8;
}

Result<Header> parse_header(std::string_view& text) {
  const bool cr_alone = text.starts_with("ply\r") && !text.starts_with("ply\r\n");
  Header header;
  std::string_view line;
  while (header_line(text, cr_alone, line)) {
    if (trim(line) == "end_header") return header;
    ESP_TRY(parse_header_line(line, header));
  }
  return bad_header("the header has no end");
}

}  // namespace espalier::mesh::internal::ply
