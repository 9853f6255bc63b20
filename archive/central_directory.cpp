#include "archive/central_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "archive/detail/utf8.h"
#include "archive/detail/zip_format.h"

namespace espalier::archive {
namespace detail {

Result<std::string> read_at(int fd, uint64_t offset, size_t bytes) {
  std::string out(bytes, '\0');
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(fd, out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::UnavailableError(absl::StrCat("reading the archive: ", std::strerror(errno)));
    if (got == 0) return absl::InvalidArgumentError("the archive is truncated");
    done += static_cast<size_t>(got);
  }
  return out;
}

Status entry_error(std::string_view name, std::string_view rule) {
  std::string shown;
  for (const char c : name.substr(0, 120)) shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  return absl::InvalidArgumentError(absl::StrCat("entry \"", shown, "\": ", std::string(rule)));
}

bool apply_zip64_extra(std::string_view extra, const std::vector<uint64_t*>& fields) {
  const auto saturated = [](const uint64_t* field) { return *field == 0xFFFFFFFF; };
  if (std::none_of(fields.begin(), fields.end(), saturated)) return true;
  for (size_t at = 0; at + 4 <= extra.size();) {
    const size_t length = le16(extra, at + 2);
    if (length > extra.size() - at - 4) return false;
    if (le16(extra, at) == kZip64Extra) {
      size_t used = 0;
      for (uint64_t* field : fields) {
        if (!saturated(field)) continue;
        if (used + 8 > length) return false;
        *field = le64(extra, at + 4 + used);
        used += 8;
      }
      return true;
    }
    at += 4 + length;
  }
  return false;
}

}  // namespace detail

namespace {

// A zip is found from its end: end record -> (zip64 end record ->) directory -> local headers. Readers differ in what
// they do where these disagree, which is how one archive can show a checker other files than it later extracts. So
// nothing here is repaired or guessed: there is one end record, it ends the file, the directory ends where it begins,
// and whatever is said twice must be said alike.
using detail::CentralRecord;
using detail::entry_error;
using detail::le16;
using detail::le32;
using detail::le64;

struct EndRecord {
  uint64_t entries = 0;
  uint64_t directory_bytes = 0;
  uint64_t directory_offset = 0;
  uint64_t position = 0;  // of the end record (zip64 record when there is one): the directory must end here
};

Status not_a_zip(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not a zip archive: ", std::string(why)));
}

// Position in `tail` of the one end record whose comment reaches exactly to the end of the file.
Result<size_t> find_end_record(std::string_view tail) {
  std::optional<size_t> found;
  if (tail.size() < detail::kEndBytes) return not_a_zip("it is shorter than an empty one");
  for (size_t at = tail.size() - detail::kEndBytes + 1; at-- > 0;) {
    if (le32(tail, at) != detail::kEndSignature) continue;
    if (at + detail::kEndBytes + le16(tail, at + 20) != tail.size()) continue;
    if (found) return not_a_zip("it has two end records");
    found = at;
  }
  if (!found) return not_a_zip("it has no end record (truncated, or another kind of file)");
  return *found;
}

// Replaces the saturated values of `end` by those of the zip64 end record in front of it.
Status read_zip64_end(int fd, uint64_t locator_position, EndRecord& end) {
  ESP_ASSIGN(const std::string locator, detail::read_at(fd, locator_position, detail::kLocatorBytes));
  const uint64_t position = le64(locator, 8);
  if (le32(locator, 4) != 0 || le32(locator, 16) != 1) return not_a_zip("it is split over several disks");
  if (position > locator_position || locator_position - position != detail::kEnd64Bytes)
    return not_a_zip("its zip64 end record is not in front of the locator");
  ESP_ASSIGN(const std::string record, detail::read_at(fd, position, detail::kEnd64Bytes));
  if (le32(record, 0) != detail::kEnd64Signature || le64(record, 4) != detail::kEnd64Bytes - 12)
    return not_a_zip("its zip64 end record is damaged");
  if (le32(record, 16) != 0 || le32(record, 20) != 0 || le64(record, 24) != le64(record, 32))
    return not_a_zip("it is split over several disks");
  const auto take = [&](uint64_t& value, uint64_t saturated, uint64_t wide) {
    if (value != saturated && value != wide) return false;
    value = wide;
    return true;
  };
  if (!take(end.entries, 0xFFFF, le64(record, 32)) || !take(end.directory_bytes, 0xFFFFFFFF, le64(record, 40)) ||
      !take(end.directory_offset, 0xFFFFFFFF, le64(record, 48)))
    return not_a_zip("its two end records disagree");
  end.position = position;
  return absl::OkStatus();
}

Result<EndRecord> read_end(int fd, uint64_t file_bytes) {
  const uint64_t tail_bytes = std::min<uint64_t>(file_bytes, detail::kEndBytes + 0xFFFF);
  ESP_ASSIGN(const std::string tail, detail::read_at(fd, file_bytes - tail_bytes, tail_bytes));
  ESP_ASSIGN(const size_t at, find_end_record(tail));
  if (le16(tail, at + 4) != 0 || le16(tail, at + 6) != 0 || le16(tail, at + 8) != le16(tail, at + 10))
    return not_a_zip("it is split over several disks");
  EndRecord end;
  end.entries = le16(tail, at + 10);
  end.directory_bytes = le32(tail, at + 12);
  end.directory_offset = le32(tail, at + 16);
  end.position = file_bytes - tail_bytes + at;
  if (end.position >= detail::kLocatorBytes) {
    const uint64_t locator = end.position - detail::kLocatorBytes;
    ESP_ASSIGN(const std::string bytes, detail::read_at(fd, locator, 4));
    if (le32(bytes, 0) == detail::kLocator64Signature) ESP_TRY(read_zip64_end(fd, locator, end));
  }
  if (end.directory_bytes > end.position || end.directory_offset != end.position - end.directory_bytes)
    return not_a_zip("its directory is not where the end record says");
  return end;
}

Status check_kind(std::string_view name, uint16_t flags, uint16_t method, uint32_t attributes) {
  if ((flags & (detail::kFlagEncrypted | detail::kFlagStrongEncryption | detail::kFlagMaskedHeader)) != 0)
    return entry_error(name, "is encrypted; encrypted archives are not accepted");
  if ((flags & detail::kFlagPatch) != 0) return entry_error(name, "is a patch; only plain entries are accepted");
  if (method != 0 && method != 8)
    return entry_error(name, absl::StrCat("has compression method ", method, "; allowed are 0 (stored), 8 (deflated)"));
  const uint32_t type = (attributes >> 16) & S_IFMT;
  if (type != 0 && type != S_IFREG && type != S_IFDIR)
    return entry_error(name, type == S_IFLNK ? "is a symbolic link; only files and folders are accepted"
                                             : "is a device, pipe or socket; only files and folders are accepted");
  return absl::OkStatus();
}

Status check_size(const Entry& entry, const Limits& limits) {
  if (entry.method == Method::kStored && entry.bytes != entry.stored_bytes)
    return entry_error(entry.name, "is stored but its two sizes differ");
  if (entry.is_folder && entry.bytes != 0) return entry_error(entry.name, "is a folder with content");
  if (entry.bytes > limits.max_entry_bytes)
    return absl::ResourceExhaustedError(absl::StrCat("entry \"", entry.name, "\": inflates to ", entry.bytes,
                                                     " bytes; at most ", limits.max_entry_bytes, " are allowed"));
  if (entry.bytes > limits.ratio_free_bytes && entry.bytes / limits.max_ratio > entry.stored_bytes)
    return absl::ResourceExhaustedError(
        absl::StrCat("entry \"", entry.name, "\": is compressed more than ", limits.max_ratio, " : 1 (a zip bomb?)"));
  return absl::OkStatus();
}

// One record of the directory at the front of `bytes`; `used` is set to its length.
Result<CentralRecord> parse_record(std::string_view bytes, const Limits& limits, size_t& used) {
  if (bytes.size() < detail::kCentralBytes || le32(bytes, 0) != detail::kCentralSignature)
    return not_a_zip("its directory is damaged");
  const size_t name_bytes = le16(bytes, 28), extra_bytes = le16(bytes, 30), comment_bytes = le16(bytes, 32);
  used = detail::kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  if (used > bytes.size()) return not_a_zip("its directory is damaged");
  CentralRecord record;
  record.raw_name = std::string(bytes.substr(detail::kCentralBytes, name_bytes));
  record.flags = le16(bytes, 8);
  const bool utf8 = (record.flags & detail::kFlagUtf8) != 0 || detail::decode_utf8(record.raw_name).has_value();
  const std::string name = utf8 ? record.raw_name : detail::cp437_to_utf8(record.raw_name);
  Entry& entry = record.entry;
  ESP_ASSIGN(entry.name, normalize_name(name, limits));
  entry.is_folder = name.back() == '/' || name.back() == '\\';
  entry.method = static_cast<Method>(le16(bytes, 10));
  entry.crc32 = le32(bytes, 16);
  entry.stored_bytes = le32(bytes, 20);
  entry.bytes = le32(bytes, 24);
  record.local_offset = le32(bytes, 42);
  ESP_TRY(check_kind(entry.name, record.flags, le16(bytes, 10), le32(bytes, 38)));
  if (le16(bytes, 34) != 0) return entry_error(entry.name, "lies on another disk");
  const std::string_view extra = bytes.substr(detail::kCentralBytes + name_bytes, extra_bytes);
  if (!detail::apply_zip64_extra(extra, {&entry.bytes, &entry.stored_bytes, &record.local_offset}))
    return entry_error(entry.name, "has a damaged zip64 field");
  ESP_TRY(check_size(entry, limits));
  return record;
}

// Two names for one file, or a file that is also a folder.
Status check_collisions(const std::vector<CentralRecord>& records) {
  std::unordered_set<std::string> names, files;
  for (const CentralRecord& record : records) {
    const std::string key = collision_key(record.entry.name);
    if (!names.insert(key).second)
      return entry_error(record.entry.name, "another entry has the same name (case and accents' spelling ignored)");
    if (!record.entry.is_folder) files.insert(key);
  }
  for (const CentralRecord& record : records) {
    const std::string key = collision_key(record.entry.name);
    for (size_t at = key.find('/'); at != std::string::npos; at = key.find('/', at + 1)) {
      if (files.contains(key.substr(0, at)))
        return entry_error(record.entry.name, "lies inside an entry that is a file");
    }
  }
  return absl::OkStatus();
}

Result<std::vector<CentralRecord>> read_records(int fd, const EndRecord& end, const Limits& limits) {
  if (end.entries > limits.max_entries)
    return absl::ResourceExhaustedError(
        absl::StrCat("the archive has ", end.entries, " entries; at most ", limits.max_entries, " are allowed"));
  if (end.directory_bytes > limits.max_entries * 1024)
    return absl::ResourceExhaustedError("the archive's directory is too large");
  if (end.entries * detail::kCentralBytes > end.directory_bytes) return not_a_zip("its directory is damaged");
  ESP_ASSIGN(const std::string directory, detail::read_at(fd, end.directory_offset, end.directory_bytes));
  std::vector<CentralRecord> records;
  records.reserve(end.entries);
  std::string_view rest = directory;
  uint64_t total = 0;
  while (!rest.empty()) {
    size_t used = 0;
    if (records.size() == end.entries) return not_a_zip("its directory is longer than the end record says");
    ESP_ASSIGN(CentralRecord record, parse_record(rest, limits, used));
    record.entry.index = records.size();
    total += record.entry.bytes;
    if (total > limits.max_total_bytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("the archive inflates to more than ", limits.max_total_bytes, " bytes"));
    records.push_back(std::move(record));
    rest.remove_prefix(used);
  }
  if (records.size() != end.entries) return not_a_zip("its directory is shorter than the end record says");
  return records;
}

}  // namespace

Result<std::vector<Entry>> read_central_directory(int fd, const Limits& limits) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return absl::UnavailableError(absl::StrCat("archive: ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return not_a_zip("it is not a regular file");
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  if (file_bytes > limits.max_archive_bytes)
    return absl::ResourceExhaustedError(
        absl::StrCat("the archive has ", file_bytes, " bytes; at most ", limits.max_archive_bytes, " are allowed"));
  ESP_ASSIGN(const EndRecord end, read_end(fd, file_bytes));
  ESP_ASSIGN(std::vector<CentralRecord> records, read_records(fd, end, limits));
  ESP_TRY(check_collisions(records));
  ESP_TRY(detail::check_local_headers(fd, records, end.directory_offset, limits));
  std::vector<Entry> entries;
  entries.reserve(records.size());
  for (CentralRecord& record : records) entries.push_back(std::move(record.entry));
  return entries;
}

}  // namespace espalier::archive
