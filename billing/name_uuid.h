#pragma once

#include <string>
#include <string_view>

namespace espalier::billing {

// The UUID that follows from a name inside a space of names, so that the same thing has the same id whoever makes it,
// however often. Version 8: the first 128 bits of SHA-256(space, NUL, name), as RFC 9562, appendix B.2.
std::string name_uuid(std::string_view space, std::string_view name);

}  // namespace espalier::billing
