#include "archive/extract.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/zip_reader.h"

namespace espalier::archive {
namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status disk_error(std::string_view name, int error) {
  const std::string text = absl::StrCat("writing \"", std::string(name), "\": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT || error == EFBIG ? absl::ResourceExhaustedError(text)
                                                              : absl::UnavailableError(text);
}

// A new file beneath `root`: no link is followed on the way, nothing existing is opened.
int create_beneath(int root, const std::string& name) {
  open_how how{};
  how.flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  how.mode = 0600;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
  if (fd >= 0 || errno != ENOSYS) return static_cast<int>(fd);
  // A kernel without openat2: the folder is private and every name is checked, so no link can lie on the way.
  return ::openat(root, name.c_str(), static_cast<int>(how.flags), 0600);
}

class Extractor {
 public:
  Extractor(const ZipReader& zip, int root, std::filesystem::path folder, std::stop_token stop)
      : zip_(zip),
        root_(root),
        folder_(std::move(folder)),
        stop_(std::move(stop)),
        deadline_(Clock::now() + std::chrono::seconds(zip.limits().max_seconds)) {}

  Result<ExtractedFile> write(const Entry& entry) {
    ESP_TRY(make_parents(entry.name));
    const Descriptor file(create_beneath(root_, entry.name));
    if (file.fd() < 0) return disk_error(entry.name, errno);
    ESP_TRY(zip_.read(entry, [&](std::span<const std::byte> bytes) { return store(file.fd(), entry, bytes); }));
    return ExtractedFile{entry.name, folder_ / entry.name, entry.bytes};
  }

 private:
  Status make_parents(const std::string& name) {
    for (size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
      const std::string parent = name.substr(0, at);
      if (!made_.insert(parent).second) continue;
      if (::mkdirat(root_, parent.c_str(), 0700) != 0) return disk_error(parent, errno);
    }
    return absl::OkStatus();
  }

  Status store(int fd, const Entry& entry, std::span<const std::byte> bytes) {
    if (stop_.stop_requested()) return absl::CancelledError("stopped while extracting the archive");
    total_ += bytes.size();
    if (total_ > zip_.limits().max_total_bytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("the archive inflates to more than ", zip_.limits().max_total_bytes, " bytes"));
    if (Clock::now() > deadline_)
      return absl::ResourceExhaustedError(
          absl::StrCat("extracting the archive takes longer than ", zip_.limits().max_seconds, " seconds"));
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return disk_error(entry.name, errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  const ZipReader& zip_;
  const int root_;
  const std::filesystem::path folder_;
  const std::stop_token stop_;
  const Clock::time_point deadline_;
  std::unordered_set<std::string> made_;
  uint64_t total_ = 0;
};

Status check_disk(int root, uint64_t needed) {
  struct statvfs info {};
  if (::fstatvfs(root, &info) != 0) return absl::OkStatus();  // unknown: the writes will tell
  const uint64_t room = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  if (room >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the disk has ", room, " bytes left, the archive needs ", needed));
}

}  // namespace

Result<std::vector<ExtractedFile>> extract(const std::filesystem::path& zip, const std::filesystem::path& folder,
                                           const ExtractOptions& options, std::stop_token stop) {
  ESP_ASSIGN(const auto reader, ZipReader::open(zip, options.limits));
  std::vector<const Entry*> chosen;
  uint64_t needed = 0;
  for (const Entry& entry : reader->entries()) {
    if (entry.is_folder || (options.wanted && !options.wanted(entry.name))) continue;
    chosen.push_back(&entry);
    needed += entry.bytes;
  }
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return disk_error(folder.string(), errno);
  const Descriptor root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root.fd() < 0) return disk_error(folder.string(), errno);
  ESP_TRY(check_disk(root.fd(), needed));
  Extractor extractor(*reader, root.fd(), folder, std::move(stop));
  std::vector<ExtractedFile> files;
  files.reserve(chosen.size());
  for (const Entry* entry : chosen) {
    ESP_ASSIGN(ExtractedFile file, extractor.write(*entry));
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

}  // namespace espalier::archive
