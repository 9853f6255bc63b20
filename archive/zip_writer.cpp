#include "archive/zip_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "archive/detail/zip_format.h"
#include "archive/detail/zip_output.h"

namespace espalier::archive {
namespace {

using detail::Output;

constexpr size_t kWriteChunk = size_t{1} << 20;
constexpr int kLevel = 6;
constexpr uint16_t kDosDate1980 = 0x0021;          // 1980-01-01, the earliest the format has
constexpr uint32_t kRegularFile = 0100644u << 16;  // external attributes
constexpr uint64_t kNeedsZip64 = 0xF0000000;       // leaves room for deflate's worst case

void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

struct Written {
  std::string name;
  Method method;
  uint32_t crc = 0;
  uint64_t bytes = 0, stored = 0, offset = 0;
  bool zip64 = false;  // of the local header
};

Method method_for(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(std::string(name));
  for (const char* kind : {".png", ".npz", ".vxz", ".jpg", ".jpeg", ".webp", ".glb", ".safetensors", ".zip"}) {
    if (lower.ends_with(kind)) return Method::kStored;
  }
  return Method::kDeflated;
}

// Deflates (or passes on) pieces into the output.
class Encoder {
 public:
  Encoder(Output& out, Written& entry) : out_(out), entry_(entry) {
    if (entry_.method == Method::kDeflated)
      ready_ = ::deflateInit2(&stream_, kLevel, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Encoder() {
    if (ready_) ::deflateEnd(&stream_);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  Status add(std::string_view piece, bool last) {
    entry_.crc = static_cast<uint32_t>(
        ::crc32(entry_.crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size())));
    entry_.bytes += piece.size();
    if (entry_.method == Method::kStored) return emit(piece);
    if (!ready_) return absl::ResourceExhaustedError("no memory for compression");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      ::deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      ESP_TRY(emit(std::string_view(buffer_).substr(0, buffer_.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return absl::OkStatus();
  }

 private:
  Status emit(std::string_view bytes) {
    entry_.stored += bytes.size();
    return out_.write(bytes);
  }
  Output& out_;
  Written& entry_;
  z_stream stream_{};
  bool ready_ = false;
  std::string buffer_ = std::string(kWriteChunk, '\0');
};

std::string local_header(const Written& entry) {
  std::string out;
  const bool wide = entry.zip64;
  put(out, detail::kLocalSignature, 4);
  put(out, wide ? 45 : 20, 2);
  put(out, detail::kFlagUtf8, 2);
  put(out, static_cast<uint16_t>(entry.method), 2);
  put(out, 0, 2);  // time
  put(out, kDosDate1980, 2);
  put(out, entry.crc, 4);
  put(out, wide ? 0xFFFFFFFF : entry.stored, 4);
  put(out, wide ? 0xFFFFFFFF : entry.bytes, 4);
  put(out, entry.name.size(), 2);
  put(out, wide ? 20 : 0, 2);
  out += entry.name;
  if (wide) {
    put(out, detail::kZip64Extra, 2);
    put(out, 16, 2);
    put(out, entry.bytes, 8);
    put(out, entry.stored, 8);
  }
  return out;
}

std::string central_header(const Written& entry) {
  const bool far = entry.offset >= 0xFFFFFFFF;
  std::string extra;
  if (entry.zip64 || far) {
    put(extra, detail::kZip64Extra, 2);
    put(extra, (entry.zip64 ? 16 : 0) + (far ? 8 : 0), 2);
    if (entry.zip64) put(extra, entry.bytes, 8);
    if (entry.zip64) put(extra, entry.stored, 8);
    if (far) put(extra, entry.offset, 8);
  }
  std::string out;
  put(out, detail::kCentralSignature, 4);
  put(out, (3 << 8) | 45, 2);  // made on Unix, format 4.5
  put(out, extra.empty() ? 20 : 45, 2);
  put(out, detail::kFlagUtf8, 2);
  put(out, static_cast<uint16_t>(entry.method), 2);
  put(out, 0, 2);
  put(out, kDosDate1980, 2);
  put(out, entry.crc, 4);
  put(out, entry.zip64 ? 0xFFFFFFFF : entry.stored, 4);
  put(out, entry.zip64 ? 0xFFFFFFFF : entry.bytes, 4);
  put(out, entry.name.size(), 2);
  put(out, extra.size(), 2);
  put(out, 0, 2);  // comment
  put(out, 0, 2);  // disk
  put(out, 0, 2);  // internal attributes
  put(out, kRegularFile, 4);
  put(out, far ? 0xFFFFFFFF : entry.offset, 4);
  return out + entry.name + extra;
}

std::string end_records(uint64_t entries, uint64_t offset, uint64_t bytes) {
  const bool wide = entries >= 0xFFFF || offset >= 0xFFFFFFFF || bytes >= 0xFFFFFFFF;
  std::string out;
  if (wide) {
    put(out, detail::kEnd64Signature, 4);
    put(out, detail::kEnd64Bytes - 12, 8);
    put(out, (3 << 8) | 45, 2);
    put(out, 45, 2);
    put(out, 0, 8);  // this disk, the directory's disk
    put(out, entries, 8);
    put(out, entries, 8);
    put(out, bytes, 8);
    put(out, offset, 8);
    put(out, detail::kLocator64Signature, 4);
    put(out, 0, 4);
    put(out, offset + bytes, 8);
    put(out, 1, 4);
  }
  const uint64_t count = wide ? 0xFFFF : entries;
  put(out, detail::kEndSignature, 4);
  put(out, 0, 4);
  put(out, count, 2);
  put(out, count, 2);
  put(out, wide ? 0xFFFFFFFF : bytes, 4);
  put(out, wide ? 0xFFFFFFFF : offset, 4);
  put(out, 0, 2);
  return out;
}

using Pump = std::function<Status(Encoder&)>;

// Header, data, then the header again with the sizes and CRC that are known now. Its length must not change in between,
// so whether it is a zip64 one follows from the size that is expected.
Result<Written> write_entry(Output& out, const std::string& name, uint64_t expected, const Pump& pump) {
  Written entry{name, method_for(name)};
  entry.zip64 = expected >= kNeedsZip64;
  entry.offset = out.offset();
  ESP_TRY(out.write(local_header(entry)));
  Encoder encoder(out, entry);
  ESP_TRY(pump(encoder));
  if (entry.bytes != expected)
    return absl::DataLossError(absl::StrCat("zip entry \"", name, "\": its file changed while it was read"));
  ESP_TRY(out.write_at(entry.offset, local_header(entry)));
  return entry;
}

Result<Written> write_file(Output& out, const std::string& name, const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(absl::StrCat(path.string(), ": ", std::strerror(errno)));
  struct stat info {};
  Result<Written> result = absl::UnavailableError(path.string());
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    const auto size = static_cast<uint64_t>(info.st_size);
    result = write_entry(out, name, size, [&](Encoder& encoder) -> Status {
      uint64_t done = 0;
      do {
        const auto piece = detail::read_at(fd, done, std::min<uint64_t>(kWriteChunk, size - done));
        if (!piece.ok()) return absl::DataLossError(absl::StrCat(path.string(), ": changed while it was read"));
        done += piece->size();
        ESP_TRY(encoder.add(*piece, done == size));
      } while (done < size);
      return absl::OkStatus();
    });
  }
  ::close(fd);
  return result;
}

Status check_name(std::string_view name) {
  ESP_ASSIGN(const std::string normal, normalize_name(name));
  if (normal != name)
    return absl::InvalidArgumentError(absl::StrCat("zip entry \"", std::string(name), "\": not a plain relative name"));
  return absl::OkStatus();
}

}  // namespace

Status ZipWriter::add_bytes(std::string_view name, std::string bytes) {
  ESP_TRY(check_name(name));
  sources_.push_back({std::string(name), std::move(bytes), {}});
  return absl::OkStatus();
}

Status ZipWriter::add_file(std::string_view name, const std::filesystem::path& source) {
  ESP_TRY(check_name(name));
  sources_.push_back({std::string(name), {}, source});
  return absl::OkStatus();
}

Status ZipWriter::write_all(Output& out) {
  std::vector<Source> sources = std::exchange(sources_, {});
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) { return a.name < b.name; });
  std::string directory;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    if (i > 0 && sources[i - 1].name == source.name)
      return absl::InvalidArgumentError(absl::StrCat("zip entry \"", source.name, "\": added twice"));
    const Pump pump = [&](Encoder& encoder) { return encoder.add(source.bytes, true); };
    auto written = source.file.empty() ? write_entry(out, source.name, source.bytes.size(), pump)
                                       : write_file(out, source.name, source.file);
    if (!written.ok()) return written.status();
    directory += central_header(*written);
  }
  const uint64_t offset = out.offset();
  ESP_TRY(out.write(directory));
  return out.write(end_records(sources.size(), offset, directory.size()));
}

Status ZipWriter::finish(const std::filesystem::path& path) {
  ESP_ASSIGN(const std::unique_ptr<Output> out, Output::create(path));
  ESP_TRY(write_all(*out));
  return out->commit();
}

Result<std::string> ZipWriter::finish() {
  ESP_ASSIGN(const std::unique_ptr<Output> out, Output::create_in_memory());
  ESP_TRY(write_all(*out));
  return out->bytes();
}

Status zip_folder(const std::filesystem::path& folder, const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  ZipWriter writer;
  size_t files = 0;
  fs::recursive_directory_iterator walk(folder, error), end;
  for (; !error && walk != end; walk.increment(error)) {
    const fs::path& file = walk->path();
    if (file.filename().string().starts_with(".")) {
      walk.disable_recursion_pending();
      continue;
    }
    if (walk->is_symlink(error))
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": is a symbolic link; replace it by the file"));
    if (!walk->is_regular_file(error)) continue;
    ESP_TRY(writer.add_file(file.lexically_relative(folder).generic_string(), file));
    ++files;
  }
  if (error) return absl::NotFoundError(absl::StrCat(folder.string(), ": ", error.message()));
  if (files == 0) return absl::InvalidArgumentError(absl::StrCat(folder.string(), ": no files in it"));
  return writer.finish(path);
}

}  // namespace espalier::archive
