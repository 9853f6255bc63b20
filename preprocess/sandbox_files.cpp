#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "preprocess/sandbox_filter.h"

namespace espalier::preprocess::internal {
namespace {

// The rights of Landlock's versions, which older headers do not name all.
constexpr uint64_t kFirstVersion = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;
constexpr uint64_t kRefer = uint64_t{1} << 13, kTruncate = uint64_t{1} << 14;

uint64_t all_rights(long version) {
  return kFirstVersion | (version >= 2 ? kRefer : 0) | (version >= 3 ? kTruncate : 0);
}

Status allow(int rules, const Readable& readable) {
  const int file = ::open(readable.path.c_str(), O_PATH | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? absl::OkStatus() : unavailable(readable.path.string(), errno);
  struct stat info {};
  ::fstat(file, &info);
  landlock_path_beneath_attr beneath{};
  beneath.parent_fd = file;
  beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
  if (S_ISDIR(info.st_mode)) beneath.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
  if (readable.executable) beneath.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
  const long added = ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
  const int error = errno;
  ::close(file);
  return added == 0 ? absl::OkStatus() : unavailable("landlock", error);
}

Status restrict_to(int rules, const std::vector<Readable>& readable) {
  for (const Readable& one : readable) ESP_TRY(allow(rules, one));
  return ::syscall(SYS_landlock_restrict_self, rules, 0) == 0 ? absl::OkStatus() : unavailable("landlock", errno);
}

}  // namespace

Status unavailable(std::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat("sandbox: ", std::string(what), ": ", std::strerror(error)));
}

Result<bool> restrict_files(const std::vector<Readable>& readable) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    if (errno == ENOSYS || errno == EOPNOTSUPP) return false;
    return unavailable("landlock", errno);
  }
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = all_rights(version);
  const int rules = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  if (rules < 0) return unavailable("landlock", errno);
  const Status restricted = restrict_to(rules, readable);
  ::close(rules);
  ESP_TRY(restricted);
  return true;
}

}  // namespace espalier::preprocess::internal
