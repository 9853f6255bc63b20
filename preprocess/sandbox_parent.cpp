#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "preprocess/sandbox.h"

namespace espalier::preprocess {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMilliseconds = 100;

void limit(int resource, uint64_t value) {
  const rlimit limits{value, value};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limits);
}

void apply_limits(const SandboxLimits& limits) {
#ifndef __SANITIZE_ADDRESS__  // its shadow memory needs terabytes of address space
  limit(RLIMIT_AS, limits.address_space_bytes);
#endif
  limit(RLIMIT_CPU, static_cast<uint64_t>(limits.cpu_seconds));
  limit(RLIMIT_FSIZE, limits.result_bytes);
  limit(RLIMIT_NOFILE, 128);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_MEMLOCK, 0);
  limit(RLIMIT_STACK, uint64_t{64} << 20);
}

// Between fork and exec only calls that are safe in a copy of a threaded process.
[[noreturn]] void become(const char* program, char* const* arguments, int result_fd, pid_t parent,
                         const SandboxLimits& limits) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kExecFailed);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int result = ::fcntl(result_fd, F_DUPFD, 16);  // out of the way of 0..3
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < kResultFd; ++fd) ::dup2(null, fd);
  if (::dup2(result, kResultFd) < 0) ::_exit(kExecFailed);
  ::syscall(SYS_close_range, kResultFd + 1, ~0u, 0);
  apply_limits(limits);
  char* const environment[] = {nullptr};
  ::execve(program, arguments, environment);
  ::_exit(kExecFailed);
}

void kill_group(pid_t pid) {
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);
}

ChildExit reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return {ChildExit::Kind::kSignalled, WTERMSIG(status)};
  return {ChildExit::Kind::kExited, WEXITSTATUS(status)};
}

// Waits for the end without reaping, so that the process group still exists when it is killed.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

}  // namespace

Result<ChildExit> run_confined(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                               int result_fd, const SandboxLimits& limits, std::stop_token stop) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const auto deadline = Clock::now() + std::chrono::seconds(limits.wall_seconds);
  const pid_t pid = ::fork();
  if (pid < 0) return absl::UnavailableError(absl::StrCat("cannot start an import process: ", std::strerror(errno)));
  if (pid == 0) become(program.c_str(), argv.data(), result_fd, parent, limits);
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  bool timed_out = false;
  while (!has_ended(pid) && !stop.stop_requested() && !timed_out) {
    pollfd waiting{handle, POLLIN, 0};
    ::poll(&waiting, handle < 0 ? 0 : 1, kPollMilliseconds);
    timed_out = Clock::now() > deadline;
  }
  if (handle >= 0) ::close(handle);
  kill_group(pid);
  const ChildExit exit = reap(pid);
  if (stop.stop_requested()) return absl::CancelledError("stopped while importing an asset");
  return timed_out ? ChildExit{ChildExit::Kind::kTimedOut, 0} : exit;
}

}  // namespace espalier::preprocess
