#include "train/tensorboard.h"

#include <array>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace espalier::train {
namespace {

constexpr uint32_t kCastagnoli = 0x82f63b78;  // reversed polynomial
constexpr uint32_t kMaskDelta = 0xa282ead8;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kCastagnoli : 0);
    table[i] = crc;
  }
  return table;
}

template <class T>
std::string little_endian(T value) {
  std::string bytes(sizeof(T), '\0');
  for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

// Fields of protocol buffer messages. Wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string tag(uint32_t field, uint32_t wire_type) { return varint(field << 3 | wire_type); }
std::string bytes_field(uint32_t field, std::string_view value) {
  return absl::StrCat(tag(field, 2), varint(value.size()), std::string(value));
}
std::string double_field(uint32_t field, double value) {
  return tag(field, 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string float_field(uint32_t field, float value) {
  return tag(field, 5) + little_endian(std::bit_cast<uint32_t>(value));
}

// Numbers of the fields of Event, Summary and Summary.Value.
constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kValue = 1, kTag = 1, kSimpleValue = 2;

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_table();
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return crc ^ 0xffffffff;
}

uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + kMaskDelta; }

Result<EventFile> EventFile::create(const std::filesystem::path& path, double wall_seconds) {
  EventFile events(std::ofstream(path, std::ios::binary | std::ios::trunc));
  if (!events.file_) return absl::InvalidArgumentError(absl::StrCat("log-dir: cannot write ", path.string()));
  events.record(double_field(kWallTime, wall_seconds) + bytes_field(kFileVersion, "brain.Event:2"));
  return events;
}

void EventFile::write(double wall_seconds, int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars)
    summary += bytes_field(kValue, bytes_field(kTag, scalar.tag) + float_field(kSimpleValue, scalar.value));
  record(double_field(kWallTime, wall_seconds) + tag(kStep, 0) + varint(static_cast<uint64_t>(step)) +
         bytes_field(kSummary, summary));
}

void EventFile::record(const std::string& message) {
  const std::string length = little_endian(static_cast<uint64_t>(message.size()));
  file_ << length << little_endian(masked(crc32c(length))) << message << little_endian(masked(crc32c(message)));
}

}  // namespace espalier::train
