#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/status.h"

// What keeping secrets takes. Nothing here logs, and no message holds what was passed in.
namespace espalier {

// From the operating system's random source; ends the process when there is none.
std::string random_bytes(size_t count);

// HMAC-SHA-256 (RFC 2104) as 64 lower-case hexadecimal digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view text);

// Takes as long for a difference in the first byte as in the last. False at once when the lengths differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

// As write_file_atomic, but readable by the owner only (mode 0600, from its first byte on).
Status write_secret_file(const std::filesystem::path& path, std::string_view bytes);

// This process and its children leave no core files, which would hold its secrets.
void forbid_core_files();

}  // namespace espalier
