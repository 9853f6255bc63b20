#include "bench/load/load_setup.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "coordinator/coordinator.h"
#include "coordinator/tenants/local_keys.h"
#include "rpc/channel.h"

namespace espalier::bench {
namespace {

// In the child: serves until it is killed, after one line with the address, or the reason that there is none.
[[noreturn]] void serve(const coordinator::CoordinatorConfig& config, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const coordinator::SystemClock clock;
  const auto running = coordinator::Coordinator::start(config, clock);
  const std::string line = running.ok() ? (*running)->address() : absl::StrCat("!", running.status().ToString());
  const bool told = ::write(out, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  ::close(out);
  if (running.ok() && told) ::pause();
  ::_exit(1);
}

std::string read_all(int fd) {
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}

std::shared_ptr<grpc::Channel> channel_of(const std::string& address, const Credentials& key) {
  ChannelSecurity security;
  security.key = key;
  auto channel = open_channel(address, security);
  if (!channel.ok()) std::abort();  // a loopback address and no TLS: nothing that could be wrong
  return *std::move(channel);
}

std::string process_file(pid_t pid, const char* name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/", name));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<std::unique_ptr<CoordinatorChild>> CoordinatorChild::start(const coordinator::CoordinatorConfig& config) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return absl::InternalError("pipe failed");
  auto child = std::unique_ptr<CoordinatorChild>(new CoordinatorChild);
  child->pid_ = ::fork();
  if (child->pid_ == 0) serve(config, pipe[1]);
  ::close(pipe[1]);
  child->address_ = read_all(pipe[0]);
  ::close(pipe[0]);
  if (child->address_.empty() || child->address_[0] == '!') {
    return absl::UnavailableError(absl::StrCat("the coordinator did not start: ", child->address_));
  }
  const auto keys = coordinator::key_folder(config.data_dir);
  ESP_ASSIGN(child->key_, read_key_file(keys / coordinator::kOperatorKeyFile));
  ESP_ASSIGN(child->worker_key_, read_key_file(keys / coordinator::kWorkerKeyFile));
  return child;
}

CoordinatorChild::~CoordinatorChild() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

double CoordinatorChild::cpu_seconds() const {
  const std::string stat = process_file(pid_, "stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state … cmajflt
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double CoordinatorChild::memory_mib() const {
  const std::string status = process_file(pid_, "status");
  const auto at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : std::stod(status.substr(at + 6)) / 1024;
}

Client::Client(const std::string& address, const Credentials& key)
    : channel(channel_of(address, key)),
      jobs(v1::JobService::NewStub(channel)),
      artefacts(v1::ArtefactService::NewStub(channel)),
      workers(v1::WorkerService::NewStub(channel)) {}

}  // namespace espalier::bench
