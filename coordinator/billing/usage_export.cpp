#include "coordinator/billing/usage_export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log.h"
#include "coordinator/billing/usage_repository.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr size_t kBatch = 500;
constexpr Milliseconds kLongestPause = std::chrono::minutes(5);

Status file_error(const std::filesystem::path& file, const char* what) {
  const int code = errno;
  const std::string message = absl::StrCat(file.string(), ": ", what, ": ", std::strerror(code));
  return code == ENOSPC || code == EDQUOT ? absl::ResourceExhaustedError(message) : absl::UnavailableError(message);
}

// Where the last whole line ends, at or before `size`; -1 when the file cannot be read.
off_t end_of_lines(int fd, off_t size) {
  char byte = '\n';
  while (size > 0) {
    if (::pread(fd, &byte, 1, size - 1) != 1) return -1;
    if (byte == '\n') break;
    --size;
  }
  return size;
}

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

Status JsonLinesFile::append(const std::vector<std::string>& lines) {
  const int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return file_error(file_, "open");
  const absl::Cleanup close_file = [fd] { ::close(fd); };
  struct stat info {};
  if (::fstat(fd, &info) != 0) return file_error(file_, "stat");
  const off_t end = end_of_lines(fd, info.st_size);
  if (end < 0) return file_error(file_, "read");
  if (end < info.st_size && ::ftruncate(fd, end) != 0) return file_error(file_, "truncate");
  if (write_all(fd, absl::StrCat(absl::StrJoin(lines, "\n"), "\n")) && ::fsync(fd) == 0) return absl::OkStatus();
  const Status failed = file_error(file_, "write");
  if (::ftruncate(fd, end) != 0) log_warning("usage export: a part of a line stays", {{"file", file_.string()}});
  return failed;
}

UsageExporter::UsageExporter(Database& database, UsageExportConfig config)
    : database_(database), config_(std::move(config)), file_(config_.file) {
  thread_ = std::thread([this] { run(); });
}

UsageExporter::~UsageExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Result<size_t> UsageExporter::export_batch() {
  const std::lock_guard lock(batch_mutex_);
  std::vector<UsageRecord> events;
  ESP_TRY(database_.transaction([&](soci::session& sql) -> Status {
    events = UsageRepository(sql).unexported(static_cast<int>(kBatch));
    return absl::OkStatus();
  }));
  if (events.empty()) return size_t{0};
  std::vector<std::string> lines;
  for (const UsageRecord& record : events) lines.push_back(to_json(record.event));
  ESP_TRY(file_.append(lines));
  // A crash here exports the batch once more, under the same ids.
  ESP_TRY(database_.transaction([&](soci::session& sql) -> Status {
    UsageRepository(sql).mark_exported(events);
    return absl::OkStatus();
  }));
  return events.size();
}

void UsageExporter::run() {
  Milliseconds pause = config_.interval;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const auto exported = export_batch();
    if (exported.ok()) {
      pause = *exported == kBatch ? Milliseconds(0) : config_.interval;
    } else {
      log_warning("usage not exported", {{"err", exported.status().ToString()}});
      pause = std::clamp(pause * 2, config_.interval, std::max(config_.interval, kLongestPause));
    }
    lock.lock();
    changed_.wait_for(lock, pause, [this] { return stopping_; });
  }
}

}  // namespace espalier::coordinator
