#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "archive/central_directory.h"
#include "common/status.h"

// The records of a zip file (PKWARE APPNOTE 6.3), shared by the checks of the directory and of the local headers.
namespace espalier::archive::detail {

inline constexpr uint32_t kLocalSignature = 0x04034b50;
inline constexpr uint32_t kCentralSignature = 0x02014b50;
inline constexpr uint32_t kDescriptorSignature = 0x08074b50;
inline constexpr uint32_t kEndSignature = 0x06054b50;
inline constexpr uint32_t kEnd64Signature = 0x06064b50;
inline constexpr uint32_t kLocator64Signature = 0x07064b50;
inline constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
inline constexpr uint16_t kFlagEncrypted = 1 << 0, kFlagDescriptor = 1 << 3, kFlagPatch = 1 << 5,
                          kFlagStrongEncryption = 1 << 6, kFlagUtf8 = 1 << 11, kFlagMaskedHeader = 1 << 13;
inline constexpr uint16_t kZip64Extra = 0x0001;

// Little-endian number of `width` bytes at `offset`; the caller has checked the bounds.
inline uint64_t le(std::string_view bytes, size_t offset, size_t width) {
  uint64_t value = 0;
  for (size_t i = width; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}
inline uint16_t le16(std::string_view bytes, size_t offset) { return static_cast<uint16_t>(le(bytes, offset, 2)); }
inline uint32_t le32(std::string_view bytes, size_t offset) { return static_cast<uint32_t>(le(bytes, offset, 4)); }
inline uint64_t le64(std::string_view bytes, size_t offset) { return le(bytes, offset, 8); }

// Exactly `bytes` bytes at `offset`. INVALID_ARGUMENT at the end of the file, UNAVAILABLE when the disk fails.
Result<std::string> read_at(int fd, uint64_t offset, size_t bytes);

// What the directory says of one entry, before the local header has confirmed it.
struct CentralRecord {
  Entry entry;  // data_offset is not known yet
  std::string raw_name;
  uint16_t flags = 0;
  uint64_t local_offset = 0;
};

// Confirms that each local header agrees with the directory, sets Entry::data_offset, and checks that no two entries
// overlap and that all lie before `directory_offset`.
Status check_local_headers(int fd, std::vector<CentralRecord>& records, uint64_t directory_offset,
                           const Limits& limits);

// Replaces saturated 32-bit fields by those of the zip64 extra field. `fields` are in the order of that field; false
// when the extra data is malformed or a needed value is missing.
bool apply_zip64_extra(std::string_view extra, const std::vector<uint64_t*>& fields);

Status entry_error(std::string_view name, std::string_view rule);

}  // namespace espalier::archive::detail
