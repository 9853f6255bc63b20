#include "archive/detail/zip_output.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/detail/zip_format.h"

namespace espalier::archive::detail {
namespace {

Status disk_error(const std::filesystem::path& path) {
  const std::string text = absl::StrCat("writing ", path.string(), ": ", std::strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

}  // namespace

Output::Output(const std::filesystem::path& path)
    : path_(path), temporary_(path.string() + ".part-" + std::to_string(::getpid())) {}

Output::~Output() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!path_.empty()) ::unlink(temporary_.c_str());
}

Result<std::unique_ptr<Output>> Output::create(const std::filesystem::path& path) {
  std::unique_ptr<Output> out(new Output(path));
  out->fd_ = ::open(out->temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out->fd_ < 0) return disk_error(path);
  return out;
}

Result<std::unique_ptr<Output>> Output::create_in_memory() {
  std::unique_ptr<Output> out(new Output({}));
  out->fd_ = ::memfd_create("zip", MFD_CLOEXEC);
  if (out->fd_ < 0) return disk_error("memory");
  return out;
}

Status Output::write(std::string_view bytes) {
  ESP_TRY(write_at(offset_, bytes));
  offset_ += bytes.size();
  return absl::OkStatus();
}

Status Output::write_at(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return disk_error(path_);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

Result<std::string> Output::bytes() const { return read_at(fd_, 0, offset_); }

Status Output::commit() {
  if (::fsync(fd_) != 0 || ::close(std::exchange(fd_, -1)) != 0) return disk_error(path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return disk_error(path_);
  return absl::OkStatus();
}

}  // namespace espalier::archive::detail
