#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// What a PLY file says of its own contents.
namespace espalier::mesh::internal::ply {

enum class Encoding { kAscii, kLittle, kBig };
enum class Type { kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kFloat, kDouble };

struct Property {
  std::string name;
  Type type = Type::kFloat;
  std::optional<Type> count_type;  // set for lists
};

struct Element {
  std::string name;
  uint64_t count = 0;
  std::vector<Property> properties;
};

struct Header {
  Encoding encoding = Encoding::kAscii;
  std::vector<Element> elements;
};

size_t size_of(Type type);

// `text`, which begins with "ply", is left at the first byte of the body. UNREADABLE: what is not understood, more than
// 64 elements or 256 properties of one.
Result<Header> parse_header(std::string_view& text);

}  // namespace espalier::mesh::internal::ply
