#include "tests/faults/coordinator_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace espalier::faults {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become(const char* program, char* const* argv, char* const* environment, int log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve(program, argv, environment);
  ::_exit(127);
}

}  // namespace

CoordinatorProcess::~CoordinatorProcess() { kill_now(); }

Status CoordinatorProcess::start(const std::string& failpoints) {
  const std::string program = std::string(ESP_BIN_DIR) + "/espalier-coordinator";
  std::vector<std::string> argv = {program, "--listen", options_.listen, "--data-dir", data_dir().string()};
  for (const std::string& setting : options_.settings) argv.insert(argv.end(), {"--set", setting});
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
  if (!failpoints.empty()) environment.push_back("ESPALIER_FAILPOINTS=" + failpoints);
  const auto arguments = pointers(argv), variables = pointers(environment);
  const int log = ::open((options_.folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return absl::InternalError("the coordinator's log cannot be opened");
  pid_ = ::fork();
  if (pid_ == 0) become(program.c_str(), arguments.data(), variables.data(), log);
  ::close(log);
  return pid_ > 0 ? absl::OkStatus() : absl::InternalError("fork failed");
}

void CoordinatorProcess::reap(int options) {
  int status = 0;
  if (pid_ == 0 || ::waitpid(pid_, &status, options) != pid_) return;
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  pid_ = 0;
}

bool CoordinatorProcess::running() {
  reap(WNOHANG);
  return pid_ != 0;
}

void CoordinatorProcess::kill_now() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  reap(0);
}

int CoordinatorProcess::stop() {
  if (running()) {
    ::kill(pid_, SIGTERM);
    reap(0);
  }
  return exit_code_.value_or(-1);
}

std::string CoordinatorProcess::log_tail() const {
  constexpr size_t kTail = 4000;
  const std::string text = read_file(options_.folder / "log").value_or("");
  return text.size() <= kTail ? text : text.substr(text.size() - kTail);
}

}  // namespace espalier::faults
