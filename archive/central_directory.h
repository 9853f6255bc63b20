#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// The table of contents of a zip file of unknown origin, read by our own parser and checked before a byte is inflated.
//
// libzip neither detects overlapping entries nor compares local with central headers, so these checks are ours:
// zip64 aware; refused are encryption, methods other than stored and deflated, several disks, entries that overlap or
// run outside the data area, local headers that disagree with the directory, links and devices, names that could leave
// the target folder, and names that are equal on a case-folding file system.
namespace espalier::archive {

struct Limits {
  uint64_t max_archive_bytes = uint64_t{8192} << 20;
  uint64_t max_entries = 100'000;
  uint64_t max_entry_bytes = uint64_t{4} << 30;  // inflated, each
  uint64_t max_total_bytes = uint64_t{8} << 30;  // inflated, all
  uint64_t max_ratio = 200;                      // inflated : stored, for entries above `ratio_free_bytes`
  uint64_t ratio_free_bytes = uint64_t{10} << 20;
  uint64_t max_prefix_bytes = uint64_t{1} << 20;  // before the first entry (self-extracting stubs)
  size_t max_name_bytes = 512;
  size_t max_depth = 16;  // components of a name
  int max_seconds = 600;  // of one extraction
};

enum class Method : uint16_t { kStored = 0, kDeflated = 8 };

struct Entry {
  std::string name;  // relative, UTF-8, components joined by '/', without the trailing '/' of a folder
  bool is_folder = false;
  Method method = Method::kStored;
  uint64_t stored_bytes = 0;  // in the archive
  uint64_t bytes = 0;         // inflated, as declared; extraction counts the real ones
  uint32_t crc32 = 0;
  uint64_t data_offset = 0;  // of the first stored byte, from the start of the file
  uint64_t index = 0;        // position in the central directory
};

// Entries in the order of the archive. `fd` is read with pread only and stays the caller's.
//
// INVALID_ARGUMENT: not a zip, or one of the rules above is broken; the message names the entry and the rule.
// RESOURCE_EXHAUSTED: more bytes, entries or a higher declared ratio than the limits allow.
Result<std::vector<Entry>> read_central_directory(int fd, const Limits& limits = {});

// The rules for one name: split at '/' and '\'; no empty, '.' or '..' component, no control character, no absolute
// path, drive letter or UNC prefix, no Windows device name, no trailing dot or space, valid UTF-8, within the limits.
// Returns the normalised name (see Entry::name).
Result<std::string> normalize_name(std::string_view raw, const Limits& limits = {});

// The key under which two names count as the same file: composed form and case folded, for ASCII, Latin-1,
// Latin Extended-A, Greek and Cyrillic letters. Other scripts compare by their bytes.
std::string collision_key(std::string_view name);

}  // namespace espalier::archive
