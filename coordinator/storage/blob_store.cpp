#include "coordinator/storage/blob_store.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/failpoint.h"

namespace espalier::coordinator {
namespace {

namespace fs = std::filesystem;

Status system_error(std::string_view what) {
  const int error = errno;
  const std::string message = absl::StrCat("artefact store: ", std::string(what), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

Status sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("open folder");
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  return done ? absl::OkStatus() : system_error("fsync folder");
}

Status write_all(int fd, std::string_view bytes) {
  bool full = failpoint("blob.write");  // as a disk that fills up: some of it fits
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), full ? (bytes.size() + 1) / 2 : bytes.size());
    if (std::exchange(full, false)) {
      errno = ENOSPC;
      return system_error("write");
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

// Feeds the first `size` bytes of the file to `digest`.
Status hash_file(int fd, int64_t size, Sha256& digest) {
  std::string buffer(1 << 18, '\0');
  for (int64_t at = 0; at < size;) {
    const size_t want = static_cast<size_t>(std::min<int64_t>(size - at, static_cast<int64_t>(buffer.size())));
    const ssize_t count = ::pread(fd, buffer.data(), want, at);
    if (count <= 0) return system_error("read back");
    digest.update(std::string_view(buffer.data(), static_cast<size_t>(count)));
    at += count;
  }
  return absl::OkStatus();
}

bool is_older(const fs::directory_entry& entry, std::chrono::milliseconds age) {
  std::error_code error;
  const auto time = entry.last_write_time(error);
  return !error && time <= fs::file_time_type::clock::now() - age;
}

}  // namespace

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::unique_ptr<BlobStore>> BlobStore::open(Options options) {
  std::error_code error;
  fs::create_directories(options.root / "sha256", error);
  if (!error) fs::create_directories(options.root / "partial", error);
  if (error) return absl::InternalError(absl::StrCat("artefact store ", options.root.string(), ": ", error.message()));
  return std::unique_ptr<BlobStore>(new BlobStore(std::move(options)));
}

fs::path BlobStore::path(const std::string& sha256) const {
  return options_.root / "sha256" / sha256.substr(0, 2) / sha256.substr(2, 2) / sha256;
}

fs::path BlobStore::partial_path(const std::string& key) const { return options_.root / "partial" / key; }

bool BlobStore::contains(const std::string& sha256) const {
  std::error_code error;
  return fs::exists(path(sha256), error);
}

int64_t BlobStore::partial_size(const std::string& key) const {
  std::error_code error;
  const auto size = fs::file_size(partial_path(key), error);
  return error ? 0 : static_cast<int64_t>(size);
}

Status BlobStore::check_space(int64_t size) const {
  struct statvfs disk {};
  if (::statvfs(options_.root.c_str(), &disk) != 0) return system_error("statvfs");
  const uint64_t free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= options_.min_free.count && free - options_.min_free.count >= static_cast<uint64_t>(size)) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat("the artefact store has ", free >> 20, " MiB free; ", size,
                                                   " bytes would leave less than the ", options_.min_free.count >> 20,
                                                   " MiB that are kept free"));
}

Result<std::unique_ptr<BlobStore::Writer>> BlobStore::write(const std::string& key, const std::string& sha256,
                                                            int64_t size, int64_t offset) {
  ESP_TRY(check_space(size - offset));
  auto writer = std::unique_ptr<Writer>(new Writer);
  writer->store_ = this;
  writer->size_ = size;
  writer->sha256_ = sha256;
  writer->partial_ = partial_path(key);
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | (offset == 0 ? O_TRUNC : 0);
  writer->fd_ = ::open(writer->partial_.c_str(), flags, 0600);
  if (writer->fd_ < 0) return system_error("create");
  const off_t end = ::lseek(writer->fd_, 0, SEEK_END);
  if (end != offset) {
    return absl::OutOfRangeError(absl::StrCat("offset ", offset, ": the server has ", end, " bytes of this content"));
  }
  ESP_TRY(hash_file(writer->fd_, offset, writer->digest_));
  writer->written_ = offset;
  return writer;
}

BlobStore::Writer::~Writer() {
  if (fd_ >= 0) ::close(fd_);
}

Status BlobStore::Writer::write(std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > size_ - written_) {
    return absl::InvalidArgumentError(absl::StrCat("more bytes were sent than the announced ", size_));
  }
  ESP_TRY(write_all(fd_, bytes));
  digest_.update(bytes);
  written_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

Status BlobStore::Writer::commit() {
  if (written_ != size_) {
    return absl::InvalidArgumentError(absl::StrCat(written_, " bytes were sent, ", size_, " announced"));
  }
  if (const std::string got = digest_.hex_digest(); got != sha256_) {
    ::unlink(partial_.c_str());
    return absl::DataLossError(absl::StrCat("the bytes have SHA-256 ", got, ", announced was ", sha256_));
  }
  if (::fsync(fd_) != 0) return system_error("fsync");
  if (failpoint("blob.synced")) return absl::ResourceExhaustedError("artefact store: the disk is full");
  const fs::path target = store_->path(sha256_);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (::rename(partial_.c_str(), target.c_str()) != 0) return system_error("rename");
  ESP_TRY(sync_folder(target.parent_path()));
  ESP_TRY(sync_folder(target.parent_path().parent_path()));
  failpoint("blob.stored");
  return absl::OkStatus();
}

Result<std::unique_ptr<BlobStore::Reader>> BlobStore::read(const std::string& sha256, int64_t size,
                                                           int64_t offset) const {
  if (offset < 0 || offset > size) {
    return absl::OutOfRangeError(absl::StrCat("offset ", offset, " is not in 0 to ", size));
  }
  auto reader = std::unique_ptr<Reader>(new Reader);
  reader->fd_ = ::open(path(sha256).c_str(), O_RDONLY | O_CLOEXEC);
  if (reader->fd_ < 0 && errno == ENOENT) return absl::NotFoundError("the bytes of the artefact are missing");
  if (reader->fd_ < 0) return system_error("open");
  const off_t end = ::lseek(reader->fd_, 0, SEEK_END);
  if (end != size) {
    return absl::DataLossError(absl::StrCat("the stored artefact has ", end, " bytes instead of ", size));
  }
  ::lseek(reader->fd_, offset, SEEK_SET);
  reader->left_ = size - offset;
  reader->verify_ = offset == 0;
  reader->sha256_ = sha256;
  return reader;
}

BlobStore::Reader::~Reader() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::string> BlobStore::Reader::next(size_t max_bytes) {
  std::string piece(static_cast<size_t>(std::min<int64_t>(left_, static_cast<int64_t>(max_bytes))), '\0');
  size_t filled = 0;
  while (filled < piece.size()) {
    const ssize_t count = ::read(fd_, piece.data() + filled, piece.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::DataLossError("the stored artefact ends early or cannot be read");
    filled += static_cast<size_t>(count);
  }
  left_ -= static_cast<int64_t>(piece.size());
  if (verify_) digest_.update(piece);
  if (verify_ && left_ == 0) {
    verify_ = false;
    if (digest_.hex_digest() != sha256_) return absl::DataLossError("the stored artefact is damaged");
  }
  return piece;
}

void BlobStore::remove(const std::string& sha256) {
  std::error_code error;
  fs::remove(path(sha256), error);
}

std::vector<std::string> BlobStore::older_than(std::chrono::milliseconds age) const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator walk(options_.root / "sha256", error), end; !error && walk != end;
       walk.increment(error)) {
    const std::string name = walk->path().filename().string();
    if (is_sha256(name) && is_older(*walk, age)) found.push_back(name);
  }
  return found;
}

int64_t BlobStore::remove_partials(std::chrono::milliseconds idle) const {
  int64_t removed = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.root / "partial", error)) {
    if (is_older(entry, idle)) removed += fs::remove(entry.path(), error) ? 1 : 0;
  }
  return removed;
}

}  // namespace espalier::coordinator
