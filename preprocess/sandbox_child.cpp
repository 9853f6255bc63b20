#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>

#include "preprocess/sandbox.h"
#include "preprocess/sandbox_filter.h"

namespace espalier::preprocess {
namespace {

using internal::Filter;
using internal::unavailable;

// Reading and computing; nothing that makes processes, sockets or files. `open` goes through the rule below.
constexpr int kAllowed[] = {
    SCMP_SYS(read),         SCMP_SYS(write),
    SCMP_SYS(readv),        SCMP_SYS(writev),
    SCMP_SYS(pread64),      SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),        SCMP_SYS(close),
    SCMP_SYS(fstat),        SCMP_SYS(stat),
    SCMP_SYS(lstat),        SCMP_SYS(newfstatat),
    SCMP_SYS(statx),        SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),   SCMP_SYS(access),
    SCMP_SYS(faccessat),    SCMP_SYS(faccessat2),
    SCMP_SYS(getdents64),   SCMP_SYS(getcwd),
    SCMP_SYS(munmap),       SCMP_SYS(mremap),
    SCMP_SYS(brk),          SCMP_SYS(madvise),
    SCMP_SYS(futex),        SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),
    SCMP_SYS(time),         SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),         SCMP_SYS(exit_group),
    SCMP_SYS(getpid),       SCMP_SYS(gettid),
    SCMP_SYS(tgkill),       SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),  SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo),      SCMP_SYS(uname),
    SCMP_SYS(prlimit64),    SCMP_SYS(getrlimit),
    SCMP_SYS(getuid),       SCMP_SYS(geteuid),
    SCMP_SYS(getgid),       SCMP_SYS(getegid),
    SCMP_SYS(fadvise64),    SCMP_SYS(ftruncate),
    SCMP_SYS(dup),          SCMP_SYS(fcntl),
    SCMP_SYS(rseq),         SCMP_SYS(membarrier),
};

Status restrict_calls() {
  const Filter filter(::seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (filter == nullptr) return unavailable("seccomp", ENOMEM);
  int error = 0;
  for (const int call : kAllowed) error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0);
  // Opening for reading only; mapping and protecting without the right to execute.
  error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  // An openat2 or an ioctl is refused, not fatal: the C library has other ways.
  for (const int call : {SCMP_SYS(openat2), SCMP_SYS(ioctl)})
    error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), call, 0);
  if (error != 0) return unavailable("seccomp rules", EINVAL);
  const int loaded = ::seccomp_load(filter.get());
  return loaded == 0 ? absl::OkStatus() : unavailable("seccomp", -loaded);
}

}  // namespace

Status confine_this_process(const std::filesystem::path& root) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return unavailable("no_new_privs", errno);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // A kernel without Landlock leaves the filter, which still forbids opening anything for writing.
  ESP_TRY(internal::restrict_files({{root}}).status());
  return restrict_calls();
}

}  // namespace espalier::preprocess
