#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "archive/detail/zip_format.h"

namespace espalier::archive::detail {
namespace {

Status disagree(const Entry& entry, std::string_view what) {
  return entry_error(entry.name, absl::StrCat("local header and directory disagree about the ", std::string(what)));
}

// Sizes and CRC of the local header; with a descriptor they may also be zero there.
Status check_local_values(const CentralRecord& record, std::string_view header, std::string_view extra) {
  const Entry& entry = record.entry;
  uint64_t bytes = le32(header, 22), stored = le32(header, 18);
  if (!apply_zip64_extra(extra, {&bytes, &stored})) return entry_error(entry.name, "has a damaged zip64 field");
  const uint32_t crc = le32(header, 14);
  const bool later = (record.flags & kFlagDescriptor) != 0;
  if (crc != entry.crc32 && !(later && crc == 0)) return disagree(entry, "CRC");
  if (bytes != entry.bytes && !(later && bytes == 0)) return disagree(entry, "size");
  if (stored != entry.stored_bytes && !(later && stored == 0)) return disagree(entry, "compressed size");
  return absl::OkStatus();
}

// Length of the data descriptor at the front of `bytes`: with or without its signature, with 4- or 8-byte sizes.
// 0 when none of the forms agrees with the directory.
size_t descriptor_length(const Entry& entry, std::string_view bytes) {
  for (const size_t signature : {4u, 0u}) {
    for (const size_t width : {4u, 8u}) {
      const size_t length = signature + 4 + 2 * width;
      if (length > bytes.size()) continue;
      if (signature != 0 && le32(bytes, 0) != kDescriptorSignature) continue;
      if (le32(bytes, signature) == entry.crc32 && le(bytes, signature + 4, width) == entry.stored_bytes &&
          le(bytes, signature + 4 + width, width) == entry.bytes)
        return length;
    }
  }
  return 0;
}

// Checks one local header and returns the offset behind the entry's last byte.
Result<uint64_t> check_one(int fd, CentralRecord& record, uint64_t directory_offset) {
  Entry& entry = record.entry;
  const auto outside = [&] { return entry_error(entry.name, "lies outside the archive's data"); };
  if (record.local_offset > directory_offset || directory_offset - record.local_offset < kLocalBytes) return outside();
  const uint64_t room = directory_offset - record.local_offset;
  ESP_ASSIGN(const std::string header, read_at(fd, record.local_offset, kLocalBytes));
  if (le32(header, 0) != kLocalSignature) return entry_error(entry.name, "has no local header");
  constexpr uint16_t kCompared = kFlagEncrypted | kFlagDescriptor | kFlagStrongEncryption | kFlagMaskedHeader;
  if ((le16(header, 6) & kCompared) != (record.flags & kCompared)) return disagree(entry, "flags");
  if (le16(header, 8) != static_cast<uint16_t>(entry.method)) return disagree(entry, "method");
  const size_t name_bytes = le16(header, 26), extra_bytes = le16(header, 28);
  const uint64_t head = kLocalBytes + name_bytes + extra_bytes;
  if (head > room || entry.stored_bytes > room - head) return outside();
  ESP_ASSIGN(const std::string names, read_at(fd, record.local_offset + kLocalBytes, name_bytes + extra_bytes));
  if (names.compare(0, name_bytes, record.raw_name) != 0) return disagree(entry, "name");
  ESP_TRY(check_local_values(record, header, std::string_view(names).substr(name_bytes)));
  entry.data_offset = record.local_offset + head;
  const uint64_t end = entry.data_offset + entry.stored_bytes;
  if ((record.flags & kFlagDescriptor) == 0) return end;
  ESP_ASSIGN(const std::string descriptor, read_at(fd, end, std::min<uint64_t>(24, directory_offset - end)));
  const size_t length = descriptor_length(entry, descriptor);
  if (length == 0) return disagree(entry, "data descriptor");
  return end + length;
}

}  // namespace

Status check_local_headers(int fd, std::vector<CentralRecord>& records, uint64_t directory_offset,
                           const Limits& limits) {
  std::vector<size_t> order(records.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return records[a].local_offset < records[b].local_offset; });
  const uint64_t first = records.empty() ? directory_offset : records[order.front()].local_offset;
  if (first > limits.max_prefix_bytes)
    return absl::InvalidArgumentError(absl::StrCat("the archive has ", first, " bytes in front of its first entry"));
  uint64_t end = 0;
  const CentralRecord* previous = nullptr;
  for (const size_t i : order) {
    CentralRecord& record = records[i];
    if (record.local_offset < end)
      return entry_error(record.entry.name, absl::StrCat("overlaps the entry \"", previous->entry.name, "\""));
    ESP_ASSIGN(end, check_one(fd, record, directory_offset));
    previous = &record;
  }
  return absl::OkStatus();
}

}  // namespace espalier::archive::detail
