#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace espalier::archive::detail {

// Strict: no overlong forms, surrogates or values above U+10FFFF. nullopt when `text` is not UTF-8.
std::optional<std::u32string> decode_utf8(std::string_view text);
void append_utf8(char32_t code_point, std::string& out);

// Code page 437, the encoding of zip names without the UTF-8 flag. Every byte string is valid.
std::string cp437_to_utf8(std::string_view text);

}  // namespace espalier::archive::detail
