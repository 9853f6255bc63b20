#include "process/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio.hpp>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace espalier::process {
namespace {

namespace asio = boost::asio;

constexpr int kProgressFd = 3;
constexpr size_t kMaxEventLine = size_t{1} << 20;
constexpr size_t kMaxLogLine = 4096;

struct Pipe {
  int read_end = -1, write_end = -1;
  ~Pipe() {
    close_end(read_end);
    close_end(write_end);
  }
  bool open() {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec of a threaded process: async-signal-safe calls only.
[[noreturn]] void become_child(pid_t parent, int progress, int log, char* const* argv, char* const* environment) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  if (progress == kProgressFd) {
    ::fcntl(progress, F_SETFD, 0);
  } else {
    ::dup2(progress, kProgressFd);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

Result<pid_t> start(const ChildSpec& spec, const Pipe& progress, const Pipe& log) {
  std::vector<std::string> arguments;
  for (const auto& argument : spec.argv) {
    arguments.push_back(absl::StrReplaceAll(argument, {{"{progress-fd}", absl::StrCat(kProgressFd)}}));
  }
  if (::access(arguments[0].c_str(), X_OK) != 0) {
    return absl::InternalError(absl::StrCat(arguments[0], ": not an executable program"));
  }
  const auto argv = pointers(arguments);
  const auto environment = pointers(spec.environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, absl::StrCat(arguments[0], ": cannot fork"));
  if (pid == 0) become_child(parent, progress.write_end, log.write_end, argv.data(), environment.data());
  ::setpgid(pid, pid);  // also here: whoever is first, the group exists before it is signalled
  return pid;
}

// Cuts what a pipe delivers into lines; longer ones are cut at `limit` and the rest of the line is dropped.
class LineReader {
 public:
  LineReader(asio::io_context& context, int fd, size_t limit, std::function<void(std::string_view)> on_line,
             std::function<void()> on_end)
      : stream_(context, fd), limit_(limit), on_line_(std::move(on_line)), on_end_(std::move(on_end)) {
    read();
  }

 private:
  void read() {
    stream_.async_read_some(asio::buffer(block_), [this](const boost::system::error_code& error, size_t n) {
      for (size_t i = 0; i < n; ++i) take(block_[i]);
      if (!error) return read();
      if (!line_.empty()) on_line_(line_);
      on_end_();
    });
  }

  void take(char c) {
    if (c == '\n') {
      on_line_(line_);
      line_.clear();
    } else if (line_.size() < limit_) {
      line_.push_back(c);
    }
  }

  asio::posix::stream_descriptor stream_;
  size_t limit_;
  std::function<void(std::string_view)> on_line_;
  std::function<void()> on_end_;
  std::array<char, 16384> block_;
  std::string line_;
};

// Drives one child until it has ended and its pipes are empty. All on the thread that calls run(): pipes, timers and
// the child's end (a pidfd, readable once it is over) are events of one loop, so nothing here needs a lock.
class Supervision {
 public:
  Supervision(pid_t pid, int progress, int log, const ChildObserver& observer, std::chrono::milliseconds grace)
      : pid_(pid),
        observer_(observer),
        grace_(grace),
        tick_(context_),
        kill_(context_),
        drain_(context_),
        exited_(context_, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
        events_(context_, progress, kMaxEventLine, observer.on_event, [this] { pipe_ended(); }),
        log_(context_, log, kMaxLogLine, observer.on_log, [this] { pipe_ended(); }) {}

  ChildExit run(std::stop_token stop) {
    exited_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const auto&) { reap(); });
    tick();
    const std::stop_callback on_stop(stop, [this] { asio::post(context_, [this] { terminate(); }); });
    context_.run();
    return exit_;
  }

 private:
  void tick() {
    tick_.expires_after(std::chrono::milliseconds(500));
    tick_.async_wait([this](const boost::system::error_code& error) {
      if (error || reaped_) return;  // a tick that was due already is not cancelled any more
      observer_.on_tick();
      tick();
    });
  }

  void terminate() {
    if (reaped_ || exit_.stopped) return;
    exit_.stopped = true;
    ::kill(-pid_, SIGTERM);
    kill_.expires_after(grace_);
    kill_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !reaped_) ::kill(-pid_, SIGKILL);
    });
  }

  void reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    exit_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    exit_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ::kill(-pid_, SIGKILL);  // grandchildren that outlived it hold the pipes open
    tick_.cancel();
    kill_.cancel();
    if (open_pipes_ == 0) return;
    // The pipes end by themselves; a process that left the group must not keep us waiting.
    drain_.expires_after(std::chrono::seconds(5));
    drain_.async_wait([this](const boost::system::error_code& error) {
      if (!error) context_.stop();
    });
  }

  void pipe_ended() {
    if (--open_pipes_ == 0) drain_.cancel();
  }

  pid_t pid_;
  const ChildObserver& observer_;
  std::chrono::milliseconds grace_;
  asio::io_context context_;
  asio::steady_timer tick_, kill_, drain_;
  asio::posix::stream_descriptor exited_;
  LineReader events_, log_;
  ChildExit exit_;
  bool reaped_ = false;
  int open_pipes_ = 2;
};

}  // namespace

Result<ChildExit> run_child(const ChildSpec& spec, const ChildObserver& observer, std::stop_token stop,
                            std::chrono::milliseconds grace) {
  Pipe progress, log;
  if (!progress.open() || !log.open()) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const auto pid = start(spec, progress, log);
  if (!pid.ok()) return pid.status();
  Pipe::close_end(progress.write_end);
  Pipe::close_end(log.write_end);
  Supervision supervision(*pid, std::exchange(progress.read_end, -1), std::exchange(log.read_end, -1), observer, grace);
  return supervision.run(std::move(stop));
}

}  // namespace espalier::process
