#include "common/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/secrets.h"

namespace espalier {
namespace {

Status errno_status(const std::filesystem::path& path, std::string_view action) {
  const int code = errno;
  return absl::ErrnoToStatus(code, absl::StrCat(path.string(), ": cannot ", std::string(action)));
}

Status write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status(path, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

Status sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_status(folder, "open");
  const int rc = ::fsync(fd);
  const Status status = rc == 0 ? absl::OkStatus() : errno_status(folder, "fsync");
  ::close(fd);
  return status;
}

Status write_with_mode(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  std::string temporary = absl::StrCat(path.string(), ".tmp.XXXXXX");
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return errno_status(path, "create a temporary file beside it");
  Status status = write_all(fd, bytes, temporary);
  if (status.ok() && ::fchmod(fd, mode) != 0) status = errno_status(temporary, "chmod");
  if (status.ok() && ::fsync(fd) != 0) status = errno_status(temporary, "fsync");
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) status = errno_status(path, "rename");
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return sync_folder(path.parent_path());
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError(absl::StrCat(path.string(), ": cannot be opened"));
  const auto size = static_cast<uint64_t>(file.tellg());
  if (size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path.string(), ": ", size, " bytes, more than the allowed ", max_bytes));
  }
  std::string bytes(size, '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) {
    return absl::DataLossError(absl::StrCat(path.string(), ": read error"));
  }
  return bytes;
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view bytes) {
  return write_with_mode(path, bytes, 0644);
}

Status write_secret_file(const std::filesystem::path& path, std::string_view bytes) {
  return write_with_mode(path, bytes, 0600);
}

Result<TempDir> TempDir::create(std::string_view prefix, const std::filesystem::path& parent) {
  const auto base = parent.empty() ? std::filesystem::temp_directory_path() : parent;
  std::string name = absl::StrCat((base / prefix).string(), ".XXXXXX");
  if (::mkdtemp(name.data()) == nullptr) return errno_status(name, "create");
  return TempDir(name);
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

}  // namespace espalier
