#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

// Zip files written field by field, so that a test can write wrong ones.
namespace espalier::archive::testing {

struct RawEntry {
  std::string name = "a.glb";
  std::string content = "content";
  bool deflate = false;
  uint16_t flags = 0;
  uint32_t attributes = 0100644u << 16;
  // Overrides; -1: the true value.
  int64_t method = -1, local_method = -1, crc = -1, bytes = -1, stored = -1, local_offset = -1, local_bytes = -1;
  std::string local_name;  // "": the same
  std::string descriptor;  // appended after the data
  std::string payload;     // "": made from `content`
  std::string extra;       // of the central record
};

inline void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

inline std::string deflate_raw(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline uint32_t crc_of(const std::string& content) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
}

struct RawZip {
  std::vector<RawEntry> entries;
  std::string prefix;
  std::string comment;
  int entry_count = -1;

  std::string bytes() const {
    std::string out = prefix, directory;
    for (const RawEntry& e : entries) append(e, out, directory);
    const uint64_t offset = out.size();
    const uint64_t count = entry_count >= 0 ? static_cast<uint64_t>(entry_count) : entries.size();
    out += directory;
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, count, 2);
    put(out, count, 2);
    put(out, directory.size(), 4);
    put(out, offset, 4);
    put(out, comment.size(), 2);
    return out + comment;
  }

 private:
  static uint64_t pick(int64_t override_value, uint64_t value) {
    return override_value >= 0 ? static_cast<uint64_t>(override_value) : value;
  }

  static void append(const RawEntry& e, std::string& out, std::string& directory) {
    const std::string data = !e.payload.empty() ? e.payload : e.deflate ? deflate_raw(e.content) : e.content;
    const uint64_t method = pick(e.method, e.deflate ? 8 : 0);
    const uint64_t crc = pick(e.crc, crc_of(e.content));
    const uint64_t bytes = pick(e.bytes, e.content.size()), stored = pick(e.stored, data.size());
    const uint64_t offset = pick(e.local_offset, out.size());
    const std::string local_name = e.local_name.empty() ? e.name : e.local_name;
    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, e.flags, 2);
    put(out, pick(e.local_method, method), 2);
    put(out, 0, 4);
    put(out, crc, 4);
    put(out, stored, 4);
    put(out, pick(e.local_bytes, bytes), 4);
    put(out, local_name.size(), 2);
    put(out, 0, 2);
    out += local_name + data + e.descriptor;
    put(directory, 0x02014b50, 4);
    put(directory, (3 << 8) | 20, 2);
    put(directory, 20, 2);
    put(directory, e.flags, 2);
    put(directory, method, 2);
    put(directory, 0, 4);
    put(directory, crc, 4);
    put(directory, stored, 4);
    put(directory, bytes, 4);
    put(directory, e.name.size(), 2);
    put(directory, e.extra.size(), 2);
    put(directory, 0, 6);  // comment, disk, internal attributes
    put(directory, e.attributes, 4);
    put(directory, offset, 4);
    directory += e.name + e.extra;
  }
};

}  // namespace espalier::archive::testing
