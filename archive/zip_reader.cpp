#include "archive/zip_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "archive/detail/zip_format.h"

namespace espalier::archive {
namespace {

constexpr size_t kChunk = size_t{256} << 10;

// Counts and checks the bytes of one entry on their way to the sink.
class Meter {
 public:
  Meter(const Entry& entry, const Limits& limits) : entry_(entry), limits_(limits) {}

  Status add(std::span<const std::byte> bytes) {
    seen_ += bytes.size();
    if (seen_ > entry_.bytes) return fault("holds more bytes than it declares");
    if (seen_ > limits_.max_entry_bytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("entry \"", entry_.name, "\": inflates to more than ", limits_.max_entry_bytes, " bytes"));
    if (seen_ > limits_.ratio_free_bytes && seen_ / limits_.max_ratio > entry_.stored_bytes)
      return absl::ResourceExhaustedError(absl::StrCat("entry \"", entry_.name, "\": is compressed more than ",
                                                       limits_.max_ratio, " : 1 (a zip bomb?)"));
    crc_ = ::crc32(crc_, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    return absl::OkStatus();
  }

  Status finish() const {
    if (seen_ != entry_.bytes) return fault("holds fewer bytes than it declares");
    if (crc_ != entry_.crc32) return fault("is damaged: the CRC does not match");
    return absl::OkStatus();
  }

 private:
  Status fault(std::string_view rule) const { return detail::entry_error(entry_.name, rule); }

  const Entry& entry_;
  const Limits& limits_;
  uint64_t seen_ = 0;
  uLong crc_ = ::crc32(0, nullptr, 0);
};

struct ZipFileCloser {
  void operator()(zip_file_t* file) const { ::zip_fclose(file); }
};

}  // namespace

struct ZipReader::State {
  int fd = -1;
  Limits limits;
  std::vector<Entry> entries;
  std::unordered_map<std::string_view, size_t> by_name;  // keys live in `entries`

  mutable std::mutex mutex;      // guards `zip` and everything read through it
  mutable zip_t* zip = nullptr;  // opened at the first deflated entry

  ~State() {
    if (zip != nullptr) ::zip_discard(zip);
    if (fd >= 0) ::close(fd);
  }

  Status load();  // fills `entries` from `fd`
  Status open_zip() const;
  Status read_stored(const Entry& entry, const Sink& sink) const;
  Status read_deflated(const Entry& entry, const Sink& sink) const;
};

Status ZipReader::State::open_zip() const {
  if (zip != nullptr) return absl::OkStatus();
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return absl::UnavailableError(absl::StrCat("archive: ", std::strerror(errno)));
  int code = 0;
  zip = ::zip_fdopen(copy, 0, &code);
  if (zip == nullptr) {
    ::close(copy);
    return absl::InvalidArgumentError(absl::StrCat("not a zip archive (libzip error ", code, ")"));
  }
  return absl::OkStatus();
}

Status ZipReader::State::read_stored(const Entry& entry, const Sink& sink) const {
  Meter meter(entry, limits);
  for (uint64_t done = 0; done < entry.stored_bytes;) {
    const size_t piece = std::min<uint64_t>(kChunk, entry.stored_bytes - done);
    ESP_ASSIGN(const std::string bytes, detail::read_at(fd, entry.data_offset + done, piece));
    const auto span = std::as_bytes(std::span(bytes));
    ESP_TRY(meter.add(span));
    ESP_TRY(sink(span));
    done += piece;
  }
  return meter.finish();
}

Status ZipReader::State::read_deflated(const Entry& entry, const Sink& sink) const {
  const std::lock_guard lock(mutex);
  ESP_TRY(open_zip());
  const std::unique_ptr<zip_file_t, ZipFileCloser> file(::zip_fopen_index(zip, entry.index, 0));
  if (file == nullptr) return detail::entry_error(entry.name, absl::StrCat("cannot be read: ", ::zip_strerror(zip)));
  Meter meter(entry, limits);
  std::vector<std::byte> buffer(kChunk);
  for (;;) {
    const zip_int64_t got = ::zip_fread(file.get(), buffer.data(), buffer.size());
    if (got < 0) return detail::entry_error(entry.name, "is damaged: its compressed data or CRC is wrong");
    if (got == 0) return meter.finish();
    const std::span<const std::byte> piece(buffer.data(), static_cast<size_t>(got));
    ESP_TRY(meter.add(piece));
    ESP_TRY(sink(piece));
  }
}

ZipReader::ZipReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZipReader::~ZipReader() = default;

Status ZipReader::State::load() {
  ESP_ASSIGN(entries, read_central_directory(fd, limits));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].is_folder) by_name.emplace(entries[i].name, i);
  }
  return absl::OkStatus();
}

Result<std::shared_ptr<const ZipReader>> ZipReader::open(const std::filesystem::path& path, const Limits& limits) {
  auto state = std::make_unique<State>();
  state->limits = limits;
  state->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0) return absl::NotFoundError(absl::StrCat(path.string(), ": ", std::strerror(errno)));
  ESP_TRY(state->load());
  return std::shared_ptr<const ZipReader>(new ZipReader(std::move(state)));
}

Result<std::shared_ptr<const ZipReader>> ZipReader::from_bytes(std::string_view bytes, const Limits& limits) {
  auto state = std::make_unique<State>();
  state->limits = limits;
  state->fd = ::memfd_create("zip", MFD_CLOEXEC);
  if (state->fd < 0) return absl::ResourceExhaustedError(absl::StrCat("zip: ", std::strerror(errno)));
  while (!bytes.empty()) {
    const ssize_t written = ::write(state->fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ResourceExhaustedError(absl::StrCat("zip: ", std::strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  ESP_TRY(state->load());
  return std::shared_ptr<const ZipReader>(new ZipReader(std::move(state)));
}

const std::vector<Entry>& ZipReader::entries() const { return state_->entries; }
const Limits& ZipReader::limits() const { return state_->limits; }

const Entry* ZipReader::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->entries[found->second];
}

Status ZipReader::read(const Entry& entry, const Sink& sink) const {
  if (entry.is_folder) return detail::entry_error(entry.name, "is a folder");
  return entry.method == Method::kStored ? state_->read_stored(entry, sink) : state_->read_deflated(entry, sink);
}

Result<std::string> ZipReader::read(const Entry& entry, uint64_t max_bytes) const {
  if (entry.bytes > max_bytes)
    return absl::ResourceExhaustedError(
        absl::StrCat("entry \"", entry.name, "\": has ", entry.bytes, " bytes; at most ", max_bytes, " are allowed"));
  std::string out;
  out.reserve(entry.bytes);
  ESP_TRY(read(entry, [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return absl::OkStatus();
  }));
  return out;
}

}  // namespace espalier::archive
